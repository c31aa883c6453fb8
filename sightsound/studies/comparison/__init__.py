"""Strategies or balances compared at one budget."""
