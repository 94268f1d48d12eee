"""Who a process is: SPIFFE ids, a local authority for development, and the files that carry an identity.

``spiffe`` is the names. ``layout`` finds and reads the files that cert-manager, SPIRE or ``authority`` wrote,
``examine`` says what is in them and what is wrong, ``renewal`` when they are replaced, ``publish`` how. What
others need at every start (``spiffe``, ``layout``, ``times``) imports nothing heavy.
"""
