"""The ledger of what was unmasked for a profile, and the policy that allows it."""
