"""The whole product in one command: 50,000 intents through real Kafka into balanced, reconciled books in Postgres."""
