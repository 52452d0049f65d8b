"""A cooperative's workshop: products, pictures, certificates, offers."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms.fields.choices import SelectChoice

from marketplace.catalog import queries, rules
from marketplace.catalog.certificates.queries import badges_of, standing
from marketplace.catalog.certificates.rules import apply_certificate as apply_for_certificate
from marketplace.catalog.forms import TIER_ROWS, CertificateForm, OfferForm, PictureForm, ProductForm
from marketplace.catalog.listings.differences import Content, content_of_edit, content_of_version
from marketplace.catalog.listings.export import write_products
from marketplace.catalog.listings.models import EditState, ListingEdit
from marketplace.catalog.listings.queries import (
    differences_of,
    edits_of_products,
    history_of,
    last_refused,
    new_pictures,
    open_edit,
)
from marketplace.catalog.listings.rules import drop_draft, ensure_draft, save_draft, submit_draft
from marketplace.catalog.lots.forms import DAY_PREFIX, LotForm
from marketplace.catalog.lots.queries import MOST_CHOICES, lots_of_product, unassigned_lots
from marketplace.catalog.models import Product
from marketplace.catalog.offers import read_mass, read_terms, read_tiers
from marketplace.catalog.recognition.queries import live_recognition
from marketplace.catalog.views.product_facts import category_name
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.money import format_rate, format_yuan
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Lot
from marketplace.linkage.uploads import uploaded_document
from marketplace.registry.models import Cooperative
from marketplace.registry.queries import children_of
from marketplace.web.downloads import download
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("workshop", __name__, url_prefix="/workshop")
MOST_EXPORTED = 1_000
sells = requires(Permission.MANAGE_LISTINGS)


def _product(product_no: str) -> Product:
    return queries.own_product(current_session(), current_actor(), product_no)


@bp.get("/products")
@sells
def products() -> ResponseReturnValue:
    """The cooperative's products, and whether each is for sale."""
    session = current_session()
    page = page_of(session, queries.products_of(current_actor()))
    ids = [product.id for product in page.rows]
    return render_template(
        "catalog/workshop/products.html",
        page=page,
        listings=queries.listings_of_products(session, ids),
        edits=edits_of_products(session, ids),
        units=queries.available_units(session, ids),
    )


@bp.get("/products.xlsx")
@sells
def export() -> ResponseReturnValue:
    """Every product with what its listing or draft says, as a sheet that may be brought back."""
    session, actor = current_session(), current_actor()
    rows = list(session.scalars(queries.products_of(actor).limit(MOST_EXPORTED)).unique())
    ids = [row.id for row in rows]
    listings, edits = queries.listings_of_products(session, ids), edits_of_products(session, ids)

    def said(product: Product) -> Content | None:
        edit, listing = edits.get(product.id), listings.get(product.id)
        if edit is not None:
            return content_of_edit(edit)
        version = listing.current_version if listing else None
        return content_of_version(version) if version else None

    content = write_products(
        ((row, said(row)) for row in rows), lambda product: category_name(product.category)
    )
    return download(content, XLSX, name=_("商品表") + ".xlsx")


def _product_form() -> ProductForm:
    """The form with the leaf categories and the villages of the cooperative's county."""
    session, form = current_session(), ProductForm()
    cooperative = session.get_one(Cooperative, current_actor().cooperative_id)
    tree = queries.category_tree(session)
    parents = {category.parent_code for category in tree}
    names = {category.code: category_name(category) for category in tree}
    form.category_code.choices = [SelectChoice("", _("请选择"))] + [
        SelectChoice(c.code, f"{names.get(c.parent_code or '', '')} · {names[c.code]}")
        for c in tree
        if c.code not in parents
    ]
    villages = children_of(session, cooperative.village.parent_code or cooperative.county_code)
    form.village_code.choices = [SelectChoice(village.code, village.name) for village in villages]
    if not form.is_submitted():
        form.village_code.data = cooperative.village_code
    return form


@bp.route("/products/new", methods=["GET", "POST"])
@sells
def new_product() -> ResponseReturnValue:
    """Describe new goods."""
    form = _product_form()
    if form.validate_on_submit():
        try:
            product = rules.add_product(
                current_session(),
                current_actor(),
                category_code=form.category_code.data,
                village_code=form.village_code.data,
                name=form.name.data or "",
                specification=form.specification.data or "",
                unit_name=form.unit_name.data or "",
                net_mass_g=read_mass(form.net_mass_g.data or "", "net_mass_g"),
                gross_mass_g=read_mass(form.gross_mass_g.data or "", "gross_mass_g"),
                shelf_life_days=form.shelf_life_days.data,
                storage=form.storage.data or "",
                description=form.description.data or "",
                idempotency_key=form.idempotency_key.data,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("产品已建好，接着上传图片、归入批次，然后上架"), "success")
            return redirect(url_for(".product", product_no=product.public_no), 303)
    return render_template("catalog/workshop/new_product.html", form=form), 422 if form.errors else 200


def product_page(product: Product, **forms: FlaskForm) -> str:
    """The page of a product, with the forms that are shown again because something in them has to be put right."""
    session = current_session()
    lots = lots_of_product(session, product)
    shown = {
        "picture_form": PictureForm(formdata=None),
        "certificate_form": CertificateForm(formdata=None),
        "lot_form": LotForm(formdata=None),
        "day_form": LotForm(formdata=None, prefix=DAY_PREFIX),
        **forms,
    }
    shown["lot_form"].lot.choices = _choices(unassigned_lots(session, current_actor()))
    unclaimed = [sold.lot for sold in lots if not sold.lot.committed_g and not sold.lot.promised_g]
    shown["day_form"].lot.choices = _choices(unclaimed[:MOST_CHOICES])
    return render_template(
        "catalog/workshop/product.html",
        product=product,
        listing=queries.listing_of_product(session, product),
        edit=open_edit(session, product),
        refused=last_refused(session, product),
        waiting_pictures=new_pictures(session, product),
        lots=lots,
        units=queries.available_units(session, [product.id])[product.id],
        certificates=sorted(product.certificates, key=lambda one: one.id, reverse=True),
        standing=standing,
        recognition=live_recognition(session, product.id),
        today=today(),
        **shown,
    )


def _choices(lots: Sequence[Lot]) -> list[SelectChoice]:
    return [SelectChoice(lot.public_no, f"{lot.lot_no} · {lot.commodity}") for lot in lots]


@bp.get("/products/<product_no>")
@sells
def product(product_no: str) -> ResponseReturnValue:
    """One product: what it still needs before it can be sold."""
    return product_page(_product(product_no))


@bp.post("/products/<product_no>/pictures")
@sells
def add_picture(product_no: str) -> ResponseReturnValue:
    """Upload a picture."""
    found, form = _product(product_no), PictureForm()
    if form.validate_on_submit():
        try:
            picture = rules.add_picture(
                current_session(),
                current_actor(),
                current_app.extensions["files"],
                found,
                content=form.picture.data.read(),
                alt_text=form.alt_text.data or "",
            )
            ensure_draft(current_session(), current_actor(), found)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(
                _("图片已上传，提交修改、县里核对后才会展示") if picture.waits else _("图片已上传"), "success"
            )
            return redirect(url_for(".product", product_no=product_no), 303)
    return product_page(_product(product_no), picture_form=form), 422


@bp.post("/products/<product_no>/certificates")
@sells
def apply_certificate(product_no: str) -> ResponseReturnValue:
    """Put a certificate under review."""
    session, actor, form = current_session(), current_actor(), CertificateForm()
    if form.validate_on_submit():
        try:
            apply_for_certificate(
                session,
                actor,
                product=_product(product_no),
                number=form.number.data or "",
                enterprise_no=form.enterprise_no.data or "",
                issued_on=form.issued_on.data or today(),
                expires_on=form.expires_on.data or today(),
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("证书已提交县级审核，通过后即可用于上架"), "success")
            return redirect(url_for(".product", product_no=product_no), 303)
    return product_page(_product(product_no), certificate_form=form), 422


def _typed_offer(product: Product, edit: ListingEdit | None) -> dict[str, str]:
    """What the tier and term fields hold: as typed, from the draft, or from the version on sale."""
    if request.method == "POST":
        return {key: value for key, value in request.form.items() if key.startswith(("tier-", "term-"))}
    listing = queries.listing_of_product(current_session(), product)
    version = listing.current_version if listing else None
    if edit is None and version is None:
        return {"tier-0-quantity": "1"}
    content = content_of_edit(edit) if edit else content_of_version(version)
    typed: dict[str, str] = {}
    for row, (least, price_fen) in enumerate(content.tiers[:TIER_ROWS]):
        typed[f"tier-{row}-quantity"] = str(least)
        typed[f"tier-{row}-price"] = format_yuan(price_fen, grouped=False)
    asked = {key: value[:8] for key, value in request.args.items() if key.startswith("term-")}
    if asked:  # rates tried in a simulation
        return typed | asked
    for mechanism, rate_bp in content.terms.items():
        typed[f"term-{mechanism.value}"] = format_rate(rate_bp)
    return typed


def _offer_form(product: Product, edit: ListingEdit | None) -> OfferForm:
    """The form as the draft, the version on sale or the product begins it, with the certificates in force."""
    listing = queries.listing_of_product(current_session(), product)
    version = edit or (listing.current_version if listing else None)
    form = OfferForm(
        title=version.title if version else product.name,
        description=version.description if version else product.description,
    )
    usable = badges_of(product, today())
    form.certificate.choices = [SelectChoice(c.public_no, f"{label(c.kind)} {c.number}") for c in usable] + [
        SelectChoice("", _("不使用证书"))
    ]
    if not form.is_submitted() and version is not None and version.certificate is not None:
        form.certificate.data = version.certificate.public_no
    return form


def _kept_draft(product: Product, form: OfferForm) -> ListingEdit:
    session = current_session()
    return save_draft(
        session,
        current_actor(),
        product,
        title=form.title.data or "",
        description=form.description.data or "",
        tiers=read_tiers(request.form),
        terms=read_terms(request.form),
        certificate=queries.certificate_of(session, product, form.certificate.data or ""),
    )


@bp.route("/products/<product_no>/offer", methods=["GET", "POST"])
@sells
def offer(product_no: str) -> ResponseReturnValue:
    """Put a product on sale or change what its listing says: keep a draft, or hand it in."""
    session, found = current_session(), _product(product_no)
    edit = open_edit(session, found)
    form = _offer_form(found, edit)
    if form.validate_on_submit():
        keeps = request.form.get("act") == "draft"
        try:
            edit = _kept_draft(found, form)
            if not keeps:
                submit_draft(session, current_actor(), edit)
        except DomainError as error:
            place_error(form, error)
            found = _product(product_no)
            edit = open_edit(session, found)
        else:
            return _after_offer(found, edit)
    listing = queries.listing_of_product(session, found)
    page = render_template(
        "catalog/workshop/offer.html",
        form=form,
        product=found,
        edit=edit,
        changes=differences_of(edit) if edit and edit.base_version else [],
        pictures=new_pictures(session, found),
        typed=_typed_offer(found, edit),
        tier_rows=range(TIER_ROWS),
        mechanisms=list(MECHANISMS),
        floor_bp=queries.linkage_floor_bp(
            session,
            category_code=found.category_code,
            county_code=found.cooperative.county_code,
            year=today().year,
        ),
        version=listing.current_version if listing else None,
    )
    return page, 422 if form.errors else 200


def _after_offer(product: Product, edit: ListingEdit) -> ResponseReturnValue:
    """Where a kept or handed-in offer leads."""
    if edit.state is EditState.DRAFT:
        flash(_("草稿已存好，买家看到的还是原来的内容"), "success")
        return redirect(url_for(".offer", product_no=product.public_no), 303)
    if edit.state is EditState.WAITING:
        flash(_("已提交县里核对，核对前买家看到的还是原来的内容"), "success")
        return redirect(url_for(".product", product_no=product.public_no), 303)
    flash(_("已上架，买家马上就能看到"), "success")
    listing = queries.listing_of_product(current_session(), product)
    return redirect(url_for("catalog.listing", listing_no=listing.public_no if listing else ""), 303)


@bp.post("/products/<product_no>/draft/drop")
@sells
def drop(product_no: str) -> ResponseReturnValue:
    """Give a draft up."""
    session, found = current_session(), _product(product_no)
    edit = open_edit(session, found)
    if edit is None:
        raise NotFound
    drop_draft(session, current_actor(), edit)
    flash(_("草稿已放弃，在售的内容没有变"), "success")
    return redirect(url_for(".product", product_no=product_no), 303)


@bp.get("/products/<product_no>/versions")
@sells
def versions(product_no: str) -> ResponseReturnValue:
    """Everything the listing has said, version by version."""
    session, found = current_session(), _product(product_no)
    listing = queries.listing_of_product(session, found)
    steps = history_of(session, listing) if listing else []
    return render_template("catalog/listings/versions.html", product=found, steps=steps)


@bp.post("/products/<product_no>/withdraw")
@sells
def withdraw(product_no: str) -> ResponseReturnValue:
    """Take the product off sale."""
    session, found = current_session(), _product(product_no)
    listing = queries.listing_of_product(session, found)
    if listing is not None:
        rules.withdraw_listing(session, current_actor(), listing)
        flash(_("已下架，已下的订单不受影响"), "success")
    return redirect(url_for(".product", product_no=product_no), 303)
