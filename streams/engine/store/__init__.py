"""Where a partition's rows live on this machine: in memory or on disk, behind one small interface. A cache of Kafka:
whatever is in doubt is wiped and restored from the changelogs."""
