"""What each regularizer returns for a tensor, straight from its definition."""
