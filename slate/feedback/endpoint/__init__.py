"""Events and items come in over HTTP: checked, attributed, durable before they are acknowledged."""
