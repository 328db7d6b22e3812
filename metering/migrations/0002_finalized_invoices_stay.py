"""What was finalized stays as it is, whatever the code above does: a second wall, for documents that people have paid by.

Lines are made while their invoice is still a draft, in the transaction that finalizes it.
"""

from django.db import migrations

KEEP = """
CREATE FUNCTION invoice_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'finalized' AND NEW.status = 'void'
        AND to_jsonb(OLD) - '{status,voided_at,void_reason}'::text[]
            = to_jsonb(NEW) - '{status,voided_at,void_reason}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a finalized invoice does not change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER invoice_stays BEFORE UPDATE OR DELETE ON invoice FOR EACH ROW EXECUTE FUNCTION invoice_stays();

CREATE FUNCTION invoice_line_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND (SELECT status FROM invoice WHERE id = NEW.invoice_id) = 'draft' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the lines of a finalized invoice do not change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER invoice_line_stays BEFORE INSERT OR UPDATE OR DELETE ON invoice_line
FOR EACH ROW EXECUTE FUNCTION invoice_line_stays();

CREATE FUNCTION credit_note_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a credit note does not change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER credit_note_stays BEFORE UPDATE OR DELETE ON credit_note
FOR EACH ROW EXECUTE FUNCTION credit_note_stays();
"""
DROP = """
DROP TRIGGER credit_note_stays ON credit_note;
DROP TRIGGER invoice_line_stays ON invoice_line;
DROP TRIGGER invoice_stays ON invoice;
DROP FUNCTION credit_note_stays(), invoice_line_stays(), invoice_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_usage_and_invoices")]

    operations = [migrations.RunSQL(KEEP, DROP)]
