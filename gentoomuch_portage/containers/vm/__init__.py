"""The isolation kind vm: a virtual machine for each run."""
