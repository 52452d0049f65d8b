"""create_app(settings): the one place that knows every room.

BLUEPRINTS, API_BLUEPRINTS, COMMANDS and JOBS are plain tables; a new capability is added by a line in each.
"""

from __future__ import annotations

from pathlib import Path

import click
from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

from config import Settings
from marketplace.audit import cli as audit_cli, views as audit_views
from marketplace.audit.exports import sheets as audit_sheets, views as audit_export_views
from marketplace.catalog import api as catalog_api, cli as catalog_cli, jobs as catalog_jobs
from marketplace.catalog.certificates import views as product_certificate_views
from marketplace.catalog.certificates.rules import apply_certificate_outcome
from marketplace.catalog.certificates.subject import certificate_subject
from marketplace.catalog.listings.queries import edit_subject
from marketplace.catalog.listings.rules import apply_edit_outcome
from marketplace.catalog.lots import views as product_lot_views
from marketplace.catalog.prices import jobs as price_jobs, views as price_views
from marketplace.catalog.prices.queries import explanation_subject
from marketplace.catalog.prices.rules import apply_explanation_outcome
from marketplace.catalog.rebuilds import jobs as rebuild_jobs, views as rebuild_views
from marketplace.catalog.recognition import jobs as recognition_jobs, views as recognition_views
from marketplace.catalog.recognition.rules import apply_recognition_outcome
from marketplace.catalog.recognition.subject import recognition_subject
from marketplace.catalog.search.engine import SearchEngine
from marketplace.catalog.search.postgresql_engine import PostgresqlEngine
from marketplace.catalog.search.whoosh_engine import WhooshEngine
from marketplace.catalog.sheets import jobs as catalog_sheet_jobs, views as catalog_sheet_views
from marketplace.catalog.stories import views as story_views
from marketplace.catalog.stories.queries import story_subject
from marketplace.catalog.stories.rules import apply_story_outcome
from marketplace.catalog.views import storefront, workshop
from marketplace.catalog.views.product_facts import Section
from marketplace.core.crypto import DataKey
from marketplace.core.db import open_engine
from marketplace.core.files import FileStore
from marketplace.core.sealed_files import SealedFolder
from marketplace.demo import cli as demo_cli
from marketplace.demo.accounts import demo_accounts
from marketplace.identity import access, user_views, views as identity_views
from marketplace.identity.downloads import jobs as download_jobs, views as download_views
from marketplace.identity.downloads.kinds import FileKind
from marketplace.identity.guides import views as guide_views
from marketplace.ledger import api as ledger_api
from marketplace.linkage import jobs as linkage_jobs, views as linkage_views
from marketplace.notices import jobs as notice_jobs, views as notice_views
from marketplace.notices.mailers import FolderMailer, Mailer, SmtpMailer
from marketplace.ordering import api as ordering_api, cli as ordering_cli, views as ordering_views
from marketplace.ordering.addresses import views as address_views
from marketplace.ordering.cart.guest import init_guest_cart
from marketplace.ordering.checkout import views as checkout_views
from marketplace.ordering.dispatch import views as dispatch_views
from marketplace.ordering.freight import views as freight_views
from marketplace.ordering.sale_proofs import views as sale_proof_views
from marketplace.ordering.served import init_served
from marketplace.ordering.shelf import views as shelf_views
from marketplace.payments import cli as payment_cli, jobs as payment_jobs, views as payment_views
from marketplace.payments.closing import views as closing_views
from marketplace.payments.collecting import (
    account_views as collecting_account_views,
    jobs as collecting_jobs,
    views as collecting_views,
)
from marketplace.payments.corrections import views as correction_views
from marketplace.payments.deposits import jobs as deposit_jobs, views as deposit_views
from marketplace.payments.disputes import views as dispute_views
from marketplace.payments.gateways.stripe_connect import StripeCollector
from marketplace.payments.gateways.stripe_gateway import StripeGateway
from marketplace.payments.invoices import views as invoice_views
from marketplace.payments.late_interest import views as interest_views
from marketplace.payments.payouts import (
    account_views as payout_account_views,
    jobs as payout_jobs,
    views as payout_views,
)
from marketplace.payments.purchase_certificates import views as certificate_views
from marketplace.payments.receivables import views as receivable_views
from marketplace.payments.reconciliation import (
    jobs as reconciliation_jobs,
    payout_views as bank_payout_views,
    views as reconciliation_views,
)
from marketplace.payments.refunds import jobs as refund_jobs, rejection_views, views as refund_views
from marketplace.payments.slips import views as slip_views
from marketplace.payments.vouchers import (
    jobs as voucher_jobs,
    spending_views as voucher_spending_views,
    views as voucher_views,
)
from marketplace.procurement import cli as procurement_cli, views as procurement_views
from marketplace.procurement.approvals import views as approval_views
from marketplace.procurement.budgets import views as budget_views
from marketplace.procurement.checkout import views as unit_checkout_views
from marketplace.procurement.compliance import views as compliance_views
from marketplace.procurement.evaluations import views as evaluation_views
from marketplace.procurement.evaluations.queries import listing_section as evaluation_section
from marketplace.procurement.forward import jobs as forward_jobs, views as forward_views
from marketplace.procurement.group_purchases import jobs as group_jobs, views as group_views
from marketplace.procurement.lists import entry_views as order_entry_views, views as order_list_views
from marketplace.procurement.menus import views as menu_views
from marketplace.procurement.packing import views as packing_views
from marketplace.procurement.quota import views as quota_views
from marketplace.procurement.receiving import jobs as receiving_jobs, views as receiving_views
from marketplace.procurement.requests import jobs as request_jobs, views as request_views
from marketplace.procurement.standing import (
    jobs as standing_jobs,
    supply_views as standing_supply_views,
    views as standing_views,
    year_views as unit_year_views,
)
from marketplace.registry import cli as registry_cli, jobs as registry_jobs, views as registry_views
from marketplace.registry.accounts import views as household_account_views
from marketplace.registry.buyer_units import views as buyer_unit_views
from marketplace.registry.cooperatives import views as cooperative_views
from marketplace.registry.cooperatives.queries import entry_subject
from marketplace.registry.cooperatives.rules import apply_entry_outcome
from marketplace.registry.offices import views as office_views
from marketplace.registry.places import views as place_views
from marketplace.registry.reviews import (
    jobs as review_jobs,
    step_views as review_step_views,
    views as review_views,
)
from marketplace.registry.reviews.models import ReviewKind
from marketplace.registry.reviews.rules import Outcome
from marketplace.registry.roster import marked as roster_marked, views as roster_views
from marketplace.reporting import (
    api as reporting_api,
    dossier_views,
    navigation,
    simulator_views,
    views as reporting_views,
)
from marketplace.reporting.books import books, views as book_views
from marketplace.reporting.front import views as front_views
from marketplace.reporting.listing_reach import reached_section
from marketplace.reporting.quota import views as quota_report_views
from marketplace.reporting.sales import views as sales_views
from marketplace.web import (
    api,
    assets,
    cli as web_cli,
    errors,
    field_words,
    filters,
    headers,
    health,
    limits,
    locale,
    logs,
    scheme,
    style,
    transaction,
)
from marketplace.web.jobs import Job, init_jobs

TOP = Path(__file__).resolve().parent.parent
BLUEPRINTS: tuple[Blueprint, ...] = (
    health.bp,
    identity_views.bp,
    user_views.bp,
    guide_views.bp,
    download_views.bp,
    place_views.bp,
    registry_views.bp,
    roster_views.bp,
    cooperative_views.bp,
    review_views.bp,
    review_step_views.bp,
    buyer_unit_views.bp,
    office_views.bp,
    household_account_views.bp,
    linkage_views.bp,
    front_views.bp,
    storefront.bp,
    workshop.bp,
    product_lot_views.bp,
    rebuild_views.bp,
    product_certificate_views.bp,
    price_views.bp,
    catalog_sheet_views.bp,
    recognition_views.bp,
    story_views.bp,
    ordering_views.bp,
    sale_proof_views.bp,
    address_views.bp,
    checkout_views.bp,
    freight_views.bp,
    dispatch_views.bp,
    shelf_views.bp,
    packing_views.bp,
    procurement_views.bp,
    standing_views.bp,
    standing_supply_views.bp,
    unit_year_views.bp,
    request_views.bp,
    evaluation_views.bp,
    quota_views.bp,
    receiving_views.bp,
    compliance_views.bp,
    approval_views.bp,
    budget_views.bp,
    unit_checkout_views.bp,
    order_entry_views.bp,
    order_list_views.bp,
    menu_views.bp,
    forward_views.bp,
    deposit_views.bp,
    voucher_views.bp,
    voucher_spending_views.bp,
    group_views.bp,
    payment_views.bp,
    payout_account_views.bp,
    payout_views.bp,
    closing_views.bp,
    refund_views.bp,
    rejection_views.bp,
    correction_views.bp,
    slip_views.bp,
    certificate_views.bp,
    invoice_views.bp,
    interest_views.bp,
    receivable_views.bp,
    reconciliation_views.bp,
    bank_payout_views.bp,
    dispute_views.bp,
    collecting_account_views.bp,
    collecting_views.bp,
    audit_views.bp,
    audit_export_views.bp,
    reporting_views.bp,
    dossier_views.bp,
    simulator_views.bp,
    book_views.bp,
    sales_views.bp,
    quota_report_views.bp,
    notice_views.bp,
)
API_BLUEPRINTS = (catalog_api.bp, ordering_api.bp, ledger_api.bp, reporting_api.bp)
COMMANDS: tuple[click.Command, ...] = (
    *web_cli.COMMANDS,
    registry_cli.registry,
    catalog_cli.search,
    procurement_cli.procurement,
    ordering_cli.ordering,
    payment_cli.payments,
    audit_cli.ledger,
    audit_cli.audit,
    demo_cli.demo,
)
JOBS: tuple[Job, ...] = (
    *download_jobs.JOBS,
    *registry_jobs.JOBS,
    *review_jobs.JOBS,
    *linkage_jobs.JOBS,
    *catalog_jobs.JOBS,
    *catalog_sheet_jobs.JOBS,
    *rebuild_jobs.JOBS,
    *price_jobs.JOBS,
    *recognition_jobs.JOBS,
    *request_jobs.JOBS,
    *forward_jobs.JOBS,
    *standing_jobs.JOBS,
    *group_jobs.JOBS,
    *payment_jobs.JOBS,
    *deposit_jobs.JOBS,
    *voucher_jobs.JOBS,
    *payout_jobs.JOBS,
    *refund_jobs.JOBS,
    *reconciliation_jobs.JOBS,
    *collecting_jobs.JOBS,
    *receiving_jobs.JOBS,
    *notice_jobs.JOBS,
)
OUTCOMES: dict[ReviewKind, Outcome] = {
    ReviewKind.COOPERATIVE_ENTRY: apply_entry_outcome,
    ReviewKind.CERTIFICATE: apply_certificate_outcome,
    ReviewKind.LISTING_CHANGE: apply_edit_outcome,
    ReviewKind.PRICE_EXPLANATION: apply_explanation_outcome,
    ReviewKind.PRODUCT_RECOGNITION: apply_recognition_outcome,
    ReviewKind.STORY: apply_story_outcome,
}
SUBJECTS: dict[ReviewKind, review_views.Subject] = {
    ReviewKind.COOPERATIVE_ENTRY: entry_subject,
    ReviewKind.CERTIFICATE: certificate_subject,
    ReviewKind.LISTING_CHANGE: edit_subject,
    ReviewKind.PRICE_EXPLANATION: explanation_subject,
    ReviewKind.PRODUCT_RECOGNITION: recognition_subject,
    ReviewKind.STORY: story_subject,
}
PUBLIC_SUBJECTS: dict[ReviewKind, review_views.Subject] = {
    ReviewKind.PRODUCT_RECOGNITION: recognition_subject,
}
FILE_KINDS: dict[str, FileKind] = {
    **roster_marked.FILE_KINDS,
    **audit_sheets.FILE_KINDS,
    **books.FILE_KINDS,
}
PROVIDER_PAGES = "https://checkout.stripe.com https://pm-redirects.stripe.com https://hooks.stripe.com https://connect.stripe.com"
LISTING_SECTIONS: tuple[Section, ...] = (
    dispatch_views.delivery_section,
    reached_section,
    evaluation_section,
)
COOPERATIVE_SECTIONS: tuple[cooperative_views.Section, ...] = (
    storefront.goods_section,
    story_views.stories_section,
)
UPLOAD_LIMIT = 32 * 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI app for `settings` (from the environment when not given)."""
    settings = settings or Settings()
    logs.init_logs(settings.environment)
    app = transaction.MarketFlask(
        "marketplace", template_folder=str(TOP / "templates"), static_folder=str(TOP / "static")
    )
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=UPLOAD_LIMIT,
        MAX_FORM_MEMORY_SIZE=2 * 1024 * 1024,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        WTF_CSRF_TIME_LIMIT=None,
        TESTING=settings.environment == "test",
    )
    transaction.init_database(app, open_engine(settings.database_url))
    _init_extensions(app, settings)
    assets.init_assets(app)
    locale.init_locale(app)
    scheme.init_scheme(app)
    filters.init_filters(app)
    errors.init_errors(app)
    field_words.init_field_words(app)
    headers.init_headers(app, card_pages=settings.stripe_api_base or PROVIDER_PAGES)
    CSRFProtect(app).exempt(payment_views.stripe_webhook)  # the provider signs its messages instead
    limits.init_limits(app)
    access.init_access(app)
    init_jobs(app, JOBS)
    navigation.init_navigation(app)
    init_guest_cart(app)
    init_served(app)
    guide_views.init_guides(app)
    health.init_health(app)
    health.add_check(app, "search", storefront.check_search)
    access.public(health.healthz)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    api.init_api(app, API_BLUEPRINTS)
    for command in COMMANDS:
        app.cli.add_command(command)
    if settings.environment == "development":
        app.register_blueprint(style.bp)
        app.extensions["demo_accounts"] = demo_accounts
    return app


def _init_extensions(app: Flask, settings: Settings) -> None:
    """What the rooms find in `app.extensions`: keys, files, search, the card gateway, the outcomes of reviews."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    data_key = DataKey.from_hex(settings.data_key)
    app.extensions["data_key"] = data_key
    app.extensions["files"] = FileStore(settings.data_dir / "files", data_key)
    app.extensions["prepared_files"] = SealedFolder(settings.data_dir / "prepared", data_key)
    app.extensions["file_kinds"] = FILE_KINDS
    app.extensions["search"] = _search(app, settings)
    app.extensions["gateway"] = _gateway(settings)
    app.extensions["collector"] = _collector(settings)
    app.extensions["mailer"] = _mailer(settings)
    app.extensions["listing_sections"] = LISTING_SECTIONS
    app.extensions["cooperative_sections"] = COOPERATIVE_SECTIONS
    app.extensions["review_outcomes"] = OUTCOMES
    app.extensions["review_subjects"] = SUBJECTS
    app.extensions["review_public_subjects"] = PUBLIC_SUBJECTS


def _search(app: Flask, settings: Settings) -> SearchEngine:
    """The search engine the settings name: the embedded one, or the one in the app's own database."""
    if settings.search == "postgresql":
        return PostgresqlEngine(app.extensions[transaction.EXTENSION].engine)
    return WhooshEngine(settings.data_dir / "search")


def _mailer(settings: Settings) -> Mailer:
    """An SMTP server where one is set, else a folder."""
    if settings.smtp_url:
        return SmtpMailer(settings.smtp_url, settings.mail_from)
    return FolderMailer(settings.data_dir / "mail", settings.mail_from)


def _collector(settings: Settings) -> StripeCollector | None:
    """Accounts and transfers of cooperatives, or None where the platform does not collect for them."""
    if settings.card_collection != "platform" or _gateway(settings) is None:
        return None
    return StripeCollector(settings.stripe_api_key, api_base=settings.stripe_api_base)


def _gateway(settings: Settings) -> StripeGateway | None:
    """The card gateway, or None where cards are switched off or no key is set."""
    if not settings.card_payments or not settings.stripe_api_key:
        return None
    return StripeGateway(
        settings.stripe_api_key,
        settings.stripe_webhook_secret,
        api_base=settings.stripe_api_base,
        methods=settings.online_methods,
    )
