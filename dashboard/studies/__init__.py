"""Detection studies as people meet them: what is asked for, in which words it is told, and the report."""
