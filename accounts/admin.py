"""The staff's view of accounts."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import services
from accounts.forms import AdminSignInForm
from accounts.models import User

admin.site.login_form = AdminSignInForm


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
    list_display = ("email", "name", "is_active", "is_staff", "joined_at", "last_login")
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

    @admin.action(description="Activate the selected users", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        changed = services.set_active(users=queryset, is_active=True)
        self.message_user(request, f"{changed} activated.", messages.SUCCESS)

    @admin.action(description="Deactivate the selected users", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        others = queryset.exclude(email=request.user.get_username())  # nobody locks themselves out
        changed = services.set_active(users=others, is_active=False)
        self.message_user(request, f"{changed} deactivated.", messages.SUCCESS)
        if queryset.filter(email=request.user.get_username()).exists():
            self.message_user(request, "You stay active: somebody else can deactivate you.", messages.WARNING)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and {"is_active", "password"} & set(form.changed_data):
            services.end_all_families(obj)
