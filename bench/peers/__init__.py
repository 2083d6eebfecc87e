"""The same job in other stream processors, to be measured side by side. Nothing of the product imports them."""
