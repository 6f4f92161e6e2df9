"""What a defence is worth: accuracy under attack with its uncertainty, compared in pairs, and checked for masking."""
