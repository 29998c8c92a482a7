package columns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSnake(t *testing.T) {
	tests := []struct{ origin, want string }{
		{"firstName", "first_name"},
		{"SICCode", "sic_code"},
		{"marketoGUID", "marketo_guid"},
		{"mktoIsPartner__c", "mkto_is_partner__c"},
		{"id", "id"},
		{"ID", "id"},
		{"leadId", "lead_id"},
		{"sfdcAccountID", "sfdc_account_id"},
		{"MD5Hash", "md5_hash"},
		{"address2Line", "address2_line"},
		{"Lead Score (2)", "lead_score__2_"},
		{"A", "a"},
		{"ABc", "a_bc"},
		{"3rdParty", "_3rd_party"},
		{"größe", "gr__e"},
		{"日本", "__"},
		{"", "_"},
		{"x\xffy", "x_y"},
		{"already_snake", "already_snake"},
	}
	for _, tt := range tests {
		if got := Snake(tt.origin); got != tt.want {
			t.Errorf("Snake(%q) = %q, want %q", tt.origin, got, tt.want)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	origins := []string{"firstName", "FirstName", "first_name", "first_name_2", "_synced_at", " Deleted", "x"}
	want := []string{"first_name", "first_name_2", "first_name_3", "first_name_2_2", "_synced_at_2", "_deleted_2", "x"}
	if d := cmp.Diff(want, Names(origins)); d != "" {
		t.Errorf("Names(%q): -want +got\n%s", origins, d)
	}
}
