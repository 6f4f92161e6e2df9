"""What an effective path costs: time, memory and size, beside the model's own forward pass and beside CDRP."""
