package pardot

import (
	"testing"
)

func TestNamesOfTheVersionsAreInverse(t *testing.T) {
	for _, o := range catalog {
		if o.v4 == nil {
			continue
		}
		for _, f := range o.fields {
			if f.v4 == "" || f.v5 == "" {
				continue
			}
			if got := name4(o.v4.path, f.v5); got != f.v4 {
				t.Errorf("%s: version 4 of %s is %q, want %q", o.stream, f.v5, got, f.v4)
			}
			if got := name5(o.v4.path, f.v4); got != f.v5 {
				t.Errorf("%s: version 5 of %s is %q, want %q", o.stream, f.v4, got, f.v5)
			}
		}
	}
}

func TestRenamedFields(t *testing.T) {
	tests := []struct{ resource, v4, v5 string }{
		{"prospect", "crm_lead_fid", "salesforceLeadId"},
		{"prospect", "crm_contact_fid", "salesforceContactId"},
		{"prospect", "crm_account_fid", "salesforceAccountId"},
		{"prospect", "crm_owner_fid", "salesforceOwnerId"},
		{"prospect", "crm_last_sync", "salesforceLastSync"},
		{"prospect", "crm_url", "salesforceUrl"},
		{"prospect", "salesforce_fid", "salesforceId"},
		{"prospect", "is_archived", "isDeleted"},
		{"prospect", "years_in_business", "yearsInBusiness"},
		{"account", "address1", "addressOne"},
		{"account", "address2", "addressTwo"},
		{"tagObject", "type", "objectType"},
		{"visitorActivity", "type", "type"},
		{"opportunity", "type", "type"},
		{"email", "message_text", "textMessage"},
		{"email", "message_html", "htmlMessage"},
		{"form", "embedCode", "embedCode"},
		{"form", "campaign_id", "campaignId"},
		{"visitorActivity", "multivariate_test_variation_id", "multivariateTestVariationId"},
	}
	for _, tt := range tests {
		t.Run(tt.resource+"."+tt.v4, func(t *testing.T) {
			if got := name5(tt.resource, tt.v4); got != tt.v5 {
				t.Errorf("version 5: got %q, want %q", got, tt.v5)
			}
			if got := name4(tt.resource, tt.v5); got != tt.v4 {
				t.Errorf("version 4: got %q, want %q", got, tt.v4)
			}
		})
	}
}

func TestTagKind(t *testing.T) {
	for in, want := range map[string]string{
		"Form Handler": "form-handler", "Prospect": "prospect", "Custom URL": "custom-url", "landing-page": "landing-page", " User ": "user", "": "",
	} {
		if got := tagKind(in); got != want {
			t.Errorf("tagKind(%q): got %q, want %q", in, got, want)
		}
	}
}
