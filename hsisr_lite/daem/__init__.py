"""DAEM: an autoencoder that unmixes, in a loop with an explicit PSF and SRF [daem2023]_."""
