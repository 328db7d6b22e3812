"""What open pages poll with of metered usage."""

NEWEST = 50
"""Records of two processes may be committed slightly out of the order of their ids: so many tell a commit by."""
REVISION = f"""left(md5(concat_ws('/',
    (SELECT string_agg(n.id::text, ',') FROM (
        SELECT id FROM usage_record WHERE organization_id = %(id)s ORDER BY id DESC LIMIT {NEWEST}
    ) n),
    (SELECT string_agg(m::text, ',' ORDER BY m.id) FROM meter m WHERE m.organization_id = %(id)s),
    (SELECT string_agg(r::text, ',' ORDER BY r.id) FROM meter_rate r JOIN meter m ON m.id = r.meter_id
        WHERE m.organization_id = %(id)s),
    (SELECT string_agg(t::text, ',' ORDER BY t.id) FROM meter_rate_tier t JOIN meter_rate r ON r.id = t.rate_id
        JOIN meter m ON m.id = r.meter_id WHERE m.organization_id = %(id)s))), 12)"""  # noqa: S608
"""An expression that changes with every commit of usage records, of a meter or of a rate of the organization `id`.

Index usage_record_newest.
"""
