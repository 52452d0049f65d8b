"""A stand-in for Stripe on one's own machine: for the demo and the tests, never for real money.

`python -m marketplace.payments.stripe_emulator --port 8420 --webhook-url URL --webhook-secret S`

    server.py      the emulator as a whole: store, courier and a small web server; refuses to run in
    production app.py         the Flask app: /v1 (the API), /c (the page the payer sees), /_emulator (test
    controls) gate.py        what every API call passes: key, version, idempotency, planned outages
    transfers.py   money to accounts and back      payouts.py   money to the platform's bank
    sessions.py    Checkout Sessions        intents.py  PaymentIntents and charges     refunds.py  Refunds
    balance.py     what moved money, and fees   disputes.py   payers who ask their bank for the money back
    connect.py     accounts                 events.py   what happened, as Stripe tells it webhooks.py    the
    courier: signs, delivers, tries again; duplicates and reorders when told to cards.py       the well-known
    test numbers and what each does params.py      reading form-encoded parameters as strictly as Stripe
    faults.py  Stripe-shaped errors store.py       everything in memory, and in a journal when a file is given

It proves that our code agrees with our reading of the API, not with Stripe itself.
"""
