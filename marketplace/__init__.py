"""The map of this tree.

A marketplace where offices, schools and staff buy what registered poor households grow, and a linkage ledger
credits the income of every order line back to the households behind it. Read from the bottom up; each room may
import only the rooms below it (`make check` enforces it).

    app.py        create_app(settings); the only place that knows every room
    demo/         a year of a small market, played through the real rules; nothing below knows it
    notices/      what people are told of: the trail projected into inboxes and e-mail
    reporting/    read-only: each role's desk, household statements, progress of quotas, books to take away
    audit/        following one fen both ways; the checks behind `flask ledger verify`
    payments/     gateways, receipts, bank statements, settlement (orders + linkage -> ledger), certificates
    procurement/  what a unit adds to buying: quota, approval, budgets, lists, requests, inspection, evaluation
    ordering/     cart, checkout, the order's states, splitting per cooperative, stock held by lot
    catalog/      products, versioned listings, certificates, price tiers, search, stories of cooperatives
    linkage/      agreements, evidence, lots, entitlements; attribution.py is pure arithmetic
    ledger/       accounts, entries, transfers: append-only double entry
    registry/     regions, households, cooperatives, buyer units, reviews, roster import
    identity/     who acts: users, organisations, roles, permissions, the trail, API tokens
    web/          Flask plumbing: one session and one commit a request, errors, paging, filters
    core/         no Flask, no nouns of the domain: database, money, clock, ids, errors, files, encryption

In each room the same file names, edges on top:
    views api cli jobs -> forms schemas -> rules -> queries -> models
"""
