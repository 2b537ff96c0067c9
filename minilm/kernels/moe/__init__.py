"""Mixture of experts: sort tokens by expert, multiply each group by its own matrix, add up."""
