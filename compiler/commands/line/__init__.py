"""What commands share: options, completion, output, how a failure is reported."""
