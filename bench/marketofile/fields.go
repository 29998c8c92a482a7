package marketofile

import (
	"fmt"
	"math/rand/v2"

	"github.com/martsync/martsync"
)

func leadFields() []field {
	f := []field{
		{"id", martsync.Int64, 0, nil},
		{"email", martsync.String, 4, email},
		{"firstName", martsync.String, 8, words(names...)},
		{"lastName", martsync.String, 8, words(names...)},
		{"salutation", martsync.String, 60, words("Mr.", "Ms.", "Dr.")},
		{"company", martsync.String, 10, company},
		{"title", martsync.String, 30, words("Engineer", "Manager", "Director, Sales", "VP", "Buyer", "Analyst", "CEO", "Head of \"Growth\"")},
		{"department", martsync.String, 50, words("IT", "Sales", "Marketing", "Finance", "R&D")},
		{"phone", martsync.String, 45, phone},
		{"mobilePhone", martsync.String, 70, phone},
		{"address", martsync.String, 50, address},
		{"city", martsync.String, 40, words("Berlin", "Zürich", "Lyon", "Austin", "Porto", "東京", "Oslo", "Gdańsk")},
		{"state", martsync.String, 60, words("TX", "CA", "NY", "WA", "MA")},
		{"country", martsync.String, 20, words("United States", "Germany", "France", "Japan", "Norway", "Poland", "Portugal", "Switzerland")},
		{"postalCode", martsync.String, 45, numbers(1000, 99999)},
		{"website", martsync.String, 55, url},
		{"industry", martsync.String, 35, words("Manufacturing", "Software", "Retail", "Health", "Energy")},
		{"numberOfEmployees", martsync.Int64, 50, numbers(1, 20_000)},
		{"annualRevenue", martsync.Float64, 60, money},
		{"leadSource", martsync.String, 15, words("Web form fillout", "List import", "Webinar", "Trade show", "Sales")},
		{"leadStatus", martsync.String, 20, words("New", "Working", "Qualified", "Recycled", "Customer")},
		{"rating", martsync.String, 70, words("A", "B", "C", "D")},
		{"leadScore", martsync.Int64, 5, numbers(0, 200)},
		{"behaviorScore", martsync.Int64, 10, numbers(-20, 100)},
		{"demographicScore", martsync.Int64, 10, numbers(0, 80)},
		{"relativeScore", martsync.Int64, 30, numbers(0, 100)},
		{"priority", martsync.Int64, 40, numbers(1, 100)},
		{"urgency", martsync.Float64, 40, money},
		{"unsubscribed", martsync.Bool, 0, truth(12)},
		{"emailInvalid", martsync.Bool, 0, truth(3)},
		{"emailSuspended", martsync.Bool, 0, truth(1)},
		{"doNotCall", martsync.Bool, 0, truth(6)},
		{"marketingSuspended", martsync.Bool, 0, truth(1)},
		{"blackListed", martsync.Bool, 0, truth(1)},
		{"createdAt", martsync.Timestamp, 0, moment},
		{"updatedAt", martsync.Timestamp, 0, moment},
		{"dateOfBirth", martsync.Date, 85, date},
		{"originalSourceType", martsync.String, 10, words("Web page visit", "Web form fillout", "List import", "API")},
		{"originalSourceInfo", martsync.String, 30, url},
		{"registrationSourceType", martsync.String, 20, words("Web form fillout", "List import", "API")},
		{"registrationSourceInfo", martsync.String, 40, url},
		{"originalReferrer", martsync.String, 60, url},
		{"inferredCompany", martsync.String, 45, company},
		{"inferredCountry", martsync.String, 45, words("United States", "Germany", "France", "Japan", "Norway")},
		{"inferredCity", martsync.String, 50, words("Berlin", "Zürich", "Lyon", "Austin", "Porto")},
		{"anonymousIP", martsync.String, 50, func(r *rand.Rand, dst []byte) []byte {
			return fmt.Appendf(dst, "%d.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
		}},
		{"sfdcLeadId", martsync.String, 50, sfdc("00Q")},
		{"sfdcContactId", martsync.String, 60, sfdc("003")},
		{"sfdcAccountId", martsync.String, 60, sfdc("001")},
		{"leadPartitionId", martsync.Int64, 0, numbers(1, 4)},
		{"personType", martsync.String, 5, words("contact", "lead")},
		{"notes", martsync.String, 50, text},
	}
	for i := range 6 {
		f = append(f, field{fmt.Sprintf("customText%d__c", i+1), martsync.String, 55 + 5*i, words("Gold", "Silver", "Bronze", "n/a", "yes, please", "no")})
	}
	for i := range 4 {
		f = append(f, field{fmt.Sprintf("customNumber%d__c", i+1), martsync.Float64, 60 + 5*i, money})
	}
	for i := range 4 {
		f = append(f, field{fmt.Sprintf("customDate%d__c", i+1), martsync.Date, 60 + 5*i, date})
	}
	for i := range 4 {
		f = append(f, field{fmt.Sprintf("mktoFlag%d__c", i+1), martsync.Bool, 20, truth(30)})
	}
	return f
}

func activityFields() []field {
	return []field{
		{"marketoGUID", martsync.String, 0, guid},
		{"leadId", martsync.Int64, 0, numbers(500_000, 800_000)},
		{"activityDate", martsync.Timestamp, 0, moment},
		{"activityTypeId", martsync.Int64, 0, numbers(1, 46)},
		{"campaignId", martsync.Int64, 40, numbers(1000, 4000)},
		{"primaryAttributeValueId", martsync.Int64, 20, numbers(1, 9000)},
		{"primaryAttributeValue", martsync.String, 20, url},
		{"attributes", martsync.JSON, 1, Attributes},
	}
}

// Attributes appends the attributes of an activity: one flat JSON object of eleven members.
func Attributes(r *rand.Rand, dst []byte) []byte {
	return fmt.Appendf(dst, `{"Campaign Run ID":"%d","Choice Number":"%d","Step ID":"%d","Device":"%s","Is Mobile Device":%t,"Platform":"%s",`+
		`"User Agent":"Mozilla/5.0 (%s) AppleWebKit/605.1.15 \"Mail\"","Link":"https://www.%s.example/%s?id=%d","Link ID":%d,"Test Variant":0,"Campaign":"Spring \u00e9t\u00e9 %d"}`,
		r.IntN(100_000), r.IntN(5), r.IntN(2000), pages[r.IntN(4)], r.IntN(2) == 0, ascii[r.IntN(4)], ascii[r.IntN(8)],
		hosts[r.IntN(len(hosts))], pages[r.IntN(len(pages))], r.IntN(100_000), r.IntN(9000), r.IntN(50))
}
