"""The staff's view of accounts."""

from typing import Any, ClassVar

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts import services
from accounts.models import ApiToken, KnownAddress, User

# One way in for everybody: the site's own sign-in page, with its limits and its second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# Likewise one place to change one's password, which ends what was signed in with the old one.
admin.site.password_change = lambda request, extra_context=None: redirect("account")  # type: ignore
# What these hold lets people in: it is nobody's but its owner's.
for model in (Authenticator, EmailAddress, UserSession, OutstandingToken, BlacklistedToken):
    admin.site.unregister(model)


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


class EmailCreationForm(AdminUserCreationForm[User]):
    """Adds a user by e-mail address."""

    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


class EmailChangeForm(UserChangeForm[User]):
    class Meta:
        model = User
        fields = "__all__"

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]  # takes no argument at run time
    form = EmailChangeForm
    add_form = EmailCreationForm
    list_display = ("email", "name", "is_active", "is_staff", "roles", "joined_at", "last_login", "links")
    list_filter = ("is_active", "is_staff", "is_superuser", "joined_at", "last_login", "groups")
    search_fields = ("email", "name")
    ordering = ("-joined_at", "-id")
    date_hierarchy = "joined_at"
    list_per_page = 50
    readonly_fields = ("joined_at", "last_login")
    actions = ("activate", "deactivate")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Profile", {"fields": ("name", "language", "currency", "time_zone", "theme")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Times", {"fields": ("joined_at", "last_login")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "—"

    @admin.display(description="belongs to it")
    def links(self, user: User) -> SafeString:
        pages = (("Portfolios", "portfolios_portfolio", "owner"), ("Tokens", "accounts_apitoken", "user"))
        rows = ((reverse(f"admin:{page}_changelist"), field, user.pk, label) for label, page, field in pages)
        return format_html_join(" · ", '<a href="{}?{}__id__exact={}">{}</a>', rows)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only a superuser touches staff: else who may change users could take over who may do more."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or not (obj.is_staff or obj.is_superuser) or is_superuser(request))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not (obj.is_staff or obj.is_superuser) or is_superuser(request))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Rights are given by superusers only."""
        if is_superuser(request):
            return self.readonly_fields
        return (*self.readonly_fields, "is_staff", "is_superuser", "groups", "user_permissions")

    @admin.action(description="Activate the selected users", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        changed = services.set_active(users=self.within_reach(request, queryset), is_active=True)
        self.message_user(request, f"{changed} activated.", messages.SUCCESS)

    @admin.action(description="Deactivate the selected users", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        # nobody locks themselves out
        others = self.within_reach(request, queryset).exclude(email=request.user.get_username())
        changed = services.set_active(users=others, is_active=False)
        self.message_user(request, f"{changed} deactivated.", messages.SUCCESS)
        if queryset.filter(email=request.user.get_username()).exists():
            self.message_user(request, "You stay active: somebody else can deactivate you.", messages.WARNING)

    @staticmethod
    def within_reach(request: HttpRequest, users: QuerySet[User]) -> QuerySet[User]:
        return users if is_superuser(request) else users.filter(is_staff=False, is_superuser=False)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            for user in User.objects.filter(pk=id):
                services.end_all_tokens(user)
        return response

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and {"is_active", "password"} & set(form.changed_data):
            services.end_all_tokens(obj)


class OfUserAdmin(admin.ModelAdmin[Any]):
    """Rows of a user's that staff look at and may delete, and nobody types."""

    list_select_related = ("user",)
    list_filter: ClassVar[Any] = ("user__is_staff",)
    list_per_page = 50

    @admin.display(description="user", ordering="user__email")
    def owner(self, row: Any) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:accounts_user_change", args=[row.user_id]), row.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(OfUserAdmin):
    list_display = ("name", "start", "owner", "scopes", "created_at", "expires_at", "last_used_at", "state")
    search_fields = ("name", "start", "user__email")
    fields = ("name", "start", "owner", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    readonly_fields = fields
    date_hierarchy = "created_at"
    actions = ("revoke",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked, it still tells that it was there

    @admin.action(description="Revoke the selected tokens", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        if not request.user.has_perm("accounts.change_apitoken"):
            self.message_user(request, "You may look at tokens, not revoke them.", messages.ERROR)
            return
        for token in queryset:
            services.revoke_api_token(token)
        self.message_user(request, f"{len(queryset)} revoked.", messages.SUCCESS)


@admin.register(KnownAddress)
class KnownAddressAdmin(OfUserAdmin):
    list_display = ("address", "owner", "used_at")
    search_fields = ("address", "user__email")
    date_hierarchy = "used_at"


@admin.register(EmailAddress)
class EmailAddressAdmin(OfUserAdmin):
    """Which addresses are confirmed; people change their own by a mailed link."""

    list_display = ("email", "owner", "verified", "primary")
    list_filter = ("verified", "primary")
    search_fields = ("email", "user__email")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
