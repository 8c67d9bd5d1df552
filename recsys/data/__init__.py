"""Table contracts, readers, id maps, purchase history (snapshot and tail)."""
