"""Reviews, quiz answers and preferences."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("card", sa.String(), nullable=False),
        sa.Column("kind", sa.String(6), nullable=False),
        sa.Column("rating", sa.Integer()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undoes", sa.Integer()),
        sa.CheckConstraint(
            "(kind = 'rating' AND rating IS NOT NULL AND undoes IS NULL)"
            " OR (kind = 'undo' AND rating IS NULL AND undoes IS NOT NULL)",
            name=op.f("ck_reviews_kind"),
        ),
        sa.CheckConstraint("rating BETWEEN 1 AND 4", name=op.f("ck_reviews_rating")),
        sa.CheckConstraint("card <> '' AND token <> ''", name=op.f("ck_reviews_named")),
        sa.ForeignKeyConstraint(["undoes"], ["reviews.id"], name=op.f("fk_reviews_undoes_reviews")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("token", name=op.f("uq_reviews_token")),
        sa.UniqueConstraint("undoes", name=op.f("uq_reviews_undoes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_reviews_card"), "reviews", ["card"])
    op.create_table(
        "quiz_answers",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("option", sa.Integer(), nullable=False),
        sa.Column("right", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("option >= 0", name=op.f("ck_quiz_answers_option")),
        sa.CheckConstraint("question <> '' AND choice <> '' AND token <> ''", name=op.f("ck_quiz_answers_named")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quiz_answers")),
        sa.UniqueConstraint("token", name=op.f("uq_quiz_answers_token")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_quiz_answers_question"), "quiz_answers", ["question"])
    op.create_table(
        "preferences",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_preferences")),
    )


def downgrade() -> None:
    """There is nothing before the first tables; the learner's reviews are not dropped."""
    raise NotImplementedError("Viva does not go back: restore an export instead")
