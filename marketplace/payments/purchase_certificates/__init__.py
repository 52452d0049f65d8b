"""Purchase certificates (消费帮扶凭证): a numbered proof of what a unit bought and which income it became."""
