"""All filters that are tried, with their cases."""

from . import balancing, coraza, gpustack, higress

FILTERS = [*higress.FILTERS, *gpustack.FILTERS, *balancing.FILTERS, *coraza.FILTERS]
