"""What a data set holds, and what raw columns seem to be."""
