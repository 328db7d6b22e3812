"""What open pages of usage poll with: a word that changes when there is something new to show."""

from django.db import connection

NEWEST = 50
"""Records of two processes may be committed slightly out of the order of their ids: so many tell a commit by."""


def revision(organization_id: int) -> str:
    """Changes with every commit of usage records, and with every change of a meter or a rate.

    Raw SQL, because it is asked every two seconds by every open page: one statement. Index usage_record_newest.
    """
    statement = """SELECT left(md5(concat_ws('/',
    (SELECT string_agg(n.id::text, ',') FROM (
        SELECT id FROM usage_record WHERE organization_id = %(id)s ORDER BY id DESC LIMIT %(newest)s
    ) n),
    (SELECT string_agg(m::text, ',' ORDER BY m.id) FROM meter m WHERE m.organization_id = %(id)s),
    (SELECT string_agg(r::text, ',' ORDER BY r.id) FROM meter_rate r JOIN meter m ON m.id = r.meter_id
        WHERE m.organization_id = %(id)s),
    (SELECT string_agg(t::text, ',' ORDER BY t.id) FROM meter_rate_tier t JOIN meter_rate r ON r.id = t.rate_id
        JOIN meter m ON m.id = r.meter_id WHERE m.organization_id = %(id)s))), 12)"""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"id": organization_id, "newest": NEWEST})
        return str(cursor.fetchone()[0])
