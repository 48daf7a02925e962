"""What another policy would have been worth at the slot that explores, from logged propensities.

``slots`` reads what was drawn there and what became of it, ``policies`` and ``release`` say what another
policy would have shown, ``inverse_propensity``, ``self_normalised`` and ``doubly_robust`` estimate its value,
and ``estimate`` adds intervals and refuses what the log cannot tell.
"""
