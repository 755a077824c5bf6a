"""What the records are worth: proof that the packs find faulty devices."""
