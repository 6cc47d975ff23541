"""Grammar that several vendors share, kept out of the folder whose modules are vendors."""
