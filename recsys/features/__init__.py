"""Customer and customer × item kernels over history and population; labels; feature specs."""
