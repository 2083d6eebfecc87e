-- The container files keep the registry's schemas in a database of their own beside the ledger's.
CREATE DATABASE registry;
