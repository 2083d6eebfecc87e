"""Avro schemas (one ``.avsc`` a record), the codec in Confluent wire format, the registry client."""
