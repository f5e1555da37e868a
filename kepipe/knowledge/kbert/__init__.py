"""K-BERT's injection: triples of a graph enter the input as branches of a sentence tree (Liu et al. 2020)."""
