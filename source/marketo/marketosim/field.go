package marketosim

import (
	"fmt"
	"strconv"

	"github.com/martsync/martsync/simulate"
)

// A Field is a field of leads as describe shows it. (Marketo REST API, Leads, Describe)
type Field struct {
	ID       int64 // the primaryAttributeValueId of its Change Data Value activities
	Name     string
	Display  string
	Type     string // "string", "score", "datetime", …
	Length   int    // 0: none
	SOAP     string // its name in the retired interface; "": none
	ReadOnly bool
	NoREST   bool // described, yet without a REST name: cannot be exported

	make func(l *lead, h uint64) value
	salt uint64
}

// Exportable reports whether bulk extracts know the field. Formula fields are described like
// others and refused by create. (Marketo REST API, Field Types)
func (f *Field) Exportable() bool { return !f.NoREST && f.Type != "formula" }

// A lead is one lead while its values are being made.
type lead struct {
	w                         *world
	index                     int64
	h                         uint64
	created, updated, changed int64 // seconds; updated is the field, changed is the latest change of any field
	edits                     map[string]value
}

// value returns the lead's value of the field.
func (l *lead) value(f *Field) value {
	if l.edits != nil {
		if v, ok := l.edits[f.Name]; ok {
			return v
		}
	}
	return f.make(l, simulate.Hash(l.h, f.salt, 0, 0))
}

// sometimes makes the value missing for one lead in n.
func sometimes(n int, of func(l *lead, h uint64) value) func(l *lead, h uint64) value {
	return func(l *lead, h uint64) value {
		if simulate.OneIn(h, n) {
			return value{}
		}
		return of(l, h)
	}
}

// rarely makes the value present for one lead in n only.
func rarely(n int, of func(l *lead, h uint64) value) func(l *lead, h uint64) value {
	return func(l *lead, h uint64) value {
		if !simulate.OneIn(h, n) {
			return value{}
		}
		return of(l, h)
	}
}

func from(t table) func(*lead, uint64) value {
	return func(_ *lead, h uint64) value { return t.at(h) }
}

func number(low, high int64) func(*lead, uint64) value {
	return func(_ *lead, h uint64) value { return integer(low + int64(simulate.Pick(h, int(high-low+1)))) }
}

func flag(oneIn int) func(*lead, uint64) value {
	return func(_ *lead, h uint64) value { return boolean(simulate.Pick(h, oneIn) == 0) }
}

// digits makes a text of n digits, leading zeros included.
func digits(prefix string, n int) func(*lead, uint64) value {
	return func(_ *lead, h uint64) value {
		b := make([]byte, 0, 24)
		b = append(b, prefix...)
		for range n {
			b = append(b, byte('0'+h%10))
			h /= 10
		}
		return text(string(b))
	}
}

// since makes a moment between the lead's creation and its last change.
func since(l *lead, h uint64) value {
	return stamp(l.created + int64(simulate.Pick(h, int(l.changed-l.created)+1)))
}

func email(l *lead, h uint64) value {
	b := make([]byte, 0, 48)
	b = append(b, asciiNames[simulate.Pick(h, len(asciiNames))]...)
	if h&7 == 0 {
		b = append(b, "+null"...)
	}
	b = append(b, '.')
	b = strconv.AppendInt(b, l.w.leadID(l.index), 10)
	b = append(b, '@')
	b = append(b, domains[simulate.Pick(simulate.Next(h), len(domains))]...)
	return text(string(b))
}

// salesforceID makes an id of 18 characters that differ only in case from that of others.
func salesforceID(prefix string) func(*lead, uint64) value {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return func(_ *lead, h uint64) value {
		b := make([]byte, 0, 18)
		b = append(b, prefix...)
		for len(b) < 18 {
			b = append(b, letters[h%uint64(len(letters))])
			h = h/uint64(len(letters)) ^ h<<47
		}
		return text(string(b))
	}
}

// standardFields are the fields of a new account: every data type of the vendor's list, names
// whose snake_case is not obvious, two names that differ only in case, and one field of each
// kind that cannot be exported. (Marketo REST API, Field Types; Leads, Describe)
func standardFields() []*Field {
	list := []*Field{
		{Name: "company", Display: "Company Name", Type: "string", Length: 255, SOAP: "Company", make: sometimes(9, from(companies))},
		{Name: "site", Display: "Site", Type: "string", Length: 255, SOAP: "Site", make: rarely(9, from(cities))},
		{Name: "billingStreet", Display: "Billing Address", Type: "text", SOAP: "BillingStreet", make: sometimes(3, from(streets))},
		{Name: "billingCity", Display: "Billing City", Type: "string", Length: 255, SOAP: "BillingCity", make: sometimes(3, from(cities))},
		{Name: "billingCountry", Display: "Billing Country", Type: "string", Length: 255, SOAP: "BillingCountry", make: sometimes(3, from(countries))},
		{Name: "billingPostalCode", Display: "Billing Postal Code", Type: "string", Length: 255, SOAP: "BillingPostalCode", make: sometimes(3, digits("", 5))},
		{Name: "website", Display: "Website", Type: "url", Length: 255, SOAP: "Website", make: sometimes(2, from(links))},
		{Name: "mainPhone", Display: "Main Phone", Type: "phone", Length: 255, SOAP: "MainPhone", make: sometimes(2, digits("+353 ", 9))},
		{Name: "annualRevenue", Display: "Annual Revenue", Type: "currency", SOAP: "AnnualRevenue", make: sometimes(3, func(_ *lead, h uint64) value { return cents(int64(simulate.Pick(h, 9_000_000_000)) - 1000) })},
		{Name: "numberOfEmployees", Display: "Num Employees", Type: "integer", SOAP: "NumberOfEmployees", make: sometimes(3, number(0, 250_000))},
		{Name: "industry", Display: "Industry", Type: "string", Length: 255, SOAP: "Industry", make: sometimes(4, from(industries))},
		{Name: "sicCode", Display: "SIC Code", Type: "string", Length: 40, SOAP: "SICCode", make: sometimes(2, digits("", 4))},
		{Name: "mktoCompanyNotes", Display: "Company Notes", Type: "text", SOAP: "MktoCompanyNotes", make: rarely(6, from(notes))},
		{Name: "externalCompanyId", Display: "External Company Id", Type: "string", Length: 100, SOAP: "ExternalCompanyId", make: sometimes(4, digits("LARK-", 3))},
		{Name: "id", Display: "Id", Type: "integer", SOAP: "Id", ReadOnly: true, make: func(l *lead, _ uint64) value { return integer(l.w.leadID(l.index)) }},
		{Name: "mktoName", Display: "Full Name", Type: "string", Length: 255, SOAP: "MktoName", ReadOnly: true, make: sometimes(5, from(lastNames))},
		{Name: "personType", Display: "Person Type", Type: "string", Length: 50, SOAP: "PersonType", make: func(_ *lead, _ uint64) value { return text("contact") }},
		{Name: "mktoIsPartner", Display: "Is Partner", Type: "boolean", SOAP: "MktoIsPartner", make: flag(12)},
		{Name: "isLead", Display: "Is Lead", Type: "boolean", SOAP: "IsLead", ReadOnly: true, make: flag(2)},
		{Name: "salutation", Display: "Salutation", Type: "string", Length: 255, SOAP: "Salutation", make: sometimes(2, from(salutations))},
		{Name: "firstName", Display: "First Name", Type: "string", Length: 255, SOAP: "FirstName", make: sometimes(12, from(firstNames))},
		{Name: "middleName", Display: "Middle Name", Type: "string", Length: 255, SOAP: "MiddleName", make: rarely(8, from(firstNames))},
		{Name: "lastName", Display: "Last Name", Type: "string", Length: 255, SOAP: "LastName", make: sometimes(12, from(lastNames))},
		{Name: "email", Display: "Email Address", Type: "email", Length: 255, SOAP: "Email", make: sometimes(15, email)},
		{Name: "phone", Display: "Phone Number", Type: "phone", Length: 255, SOAP: "Phone", make: sometimes(3, digits("00", 10))},
		{Name: "mobilePhone", Display: "Mobile Phone Number", Type: "phone", Length: 255, SOAP: "MobilePhone", make: rarely(3, digits("+81-", 10))},
		{Name: "title", Display: "Job Title", Type: "string", Length: 255, SOAP: "Title", make: sometimes(4, from(titles))},
		{Name: "department", Display: "Department", Type: "string", Length: 255, SOAP: "Department", make: func(_ *lead, h uint64) value {
			switch h % 8 {
			case 0:
				return value{kind: kindEmpty} // emptied by an import: the cell is empty rather than null
			case 1, 2:
				return value{}
			}
			return departments.at(h)
		}},
		{Name: "contactCompany", Display: "Contact Company", Type: "reference", SOAP: "ContactCompany", make: sometimes(3, digits("", 3))},
		{Name: "dateOfBirth", Display: "Date of Birth", Type: "date", SOAP: "DateofBirth", make: rarely(4, func(_ *lead, h uint64) value { return day(int64(simulate.Pick(h, 25_000)) - 15_000) })},
		{Name: "address", Display: "Address", Type: "text", SOAP: "Address", make: sometimes(2, from(streets))},
		{Name: "city", Display: "City", Type: "string", Length: 255, SOAP: "City", make: sometimes(3, from(cities))},
		{Name: "state", Display: "State", Type: "string", Length: 255, SOAP: "State", make: sometimes(2, from(states))},
		{Name: "country", Display: "Country", Type: "string", Length: 255, SOAP: "Country", make: sometimes(3, from(countries))},
		{Name: "postalCode", Display: "Postal Code", Type: "string", Length: 255, SOAP: "PostalCode", make: sometimes(2, digits("0", 4))},
		{Name: "originalSourceType", Display: "Original Source Type", Type: "string", Length: 255, SOAP: "OriginalSourceType", ReadOnly: true, make: from(flows)},
		{Name: "originalReferrer", Display: "Original Referrer", Type: "url", Length: 2000, SOAP: "OriginalReferrer", ReadOnly: true, make: rarely(3, from(links))},
		{Name: "leadSource", Display: "Lead Source", Type: "string", Length: 255, SOAP: "LeadSource", make: sometimes(3, from(sources))},
		{Name: "leadStatus", Display: "Lead Status", Type: "string", Length: 255, SOAP: "LeadStatus", make: sometimes(3, from(statuses))},
		{Name: "rating", Display: "Lead Rating", Type: "string", Length: 255, SOAP: "Rating", make: rarely(3, from(ratings))},
		{Name: "leadScore", Display: "Lead Score", Type: "score", SOAP: "LeadScore", make: sometimes(5, number(-20, 180))},
		{Name: "urgency", Display: "Urgency", Type: "float", SOAP: "Urgency", make: rarely(2, func(_ *lead, h uint64) value { return float(float64(simulate.Pick(h, 100_000))/1000 - 20) })},
		{Name: "priority", Display: "Priority", Type: "integer", SOAP: "Priority", make: rarely(2, number(1, 100))},
		{Name: "unsubscribed", Display: "Unsubscribed", Type: "boolean", SOAP: "Unsubscribed", make: flag(15)},
		{Name: "unsubscribedReason", Display: "Unsubscribed Reason", Type: "text", SOAP: "UnsubscribedReason", make: rarely(15, from(reasons))},
		{Name: "doNotCall", Display: "Do Not Call", Type: "boolean", SOAP: "DoNotCall", make: flag(20)},
		{Name: "emailInvalid", Display: "Email Invalid", Type: "boolean", SOAP: "EmailInvalid", make: flag(30)},
		{Name: "emailInvalidCause", Display: "Email Invalid Cause", Type: "text", SOAP: "EmailInvalidCause", make: rarely(30, from(bounces))},
		{Name: "leadPartitionId", Display: "Lead Partition Id", Type: "integer", SOAP: "LeadPartitionId", ReadOnly: true, make: func(_ *lead, h uint64) value {
			if h%5 == 0 {
				return integer(3)
			}
			return integer(1)
		}},
		{Name: "leadPerson", Display: "Lead Person", Type: "reference", SOAP: "LeadPerson", ReadOnly: true, make: digits("", 4)},
		{Name: "acquisitionProgramId", Display: "Acquisition Program Id", Type: "integer", SOAP: "AcquisitionProgramId", ReadOnly: true, make: rarely(2, func(l *lead, h uint64) value { return integer(l.w.programID(simulate.Pick(h, l.w.size.programs))) })},
		{Name: "sfdcLeadId", Display: "SFDC Lead Id", Type: "string", Length: 50, SOAP: "SfdcLeadId", ReadOnly: true, make: sometimes(2, salesforceID("00Q"))},
		{Name: "sfdcLeadOwnerId", Display: "SFDC Lead Owner Id", Type: "reference", SOAP: "SfdcLeadOwnerId", ReadOnly: true, make: sometimes(2, digits("", 3))},
		{Name: "anonymousIP", Display: "Anonymous IP", Type: "string", Length: 255, SOAP: "AnonymousIP", ReadOnly: true, make: rarely(2, func(_ *lead, h uint64) value { return ip(h) })},
		{Name: "inferredCompany", Display: "Inferred Company", Type: "string", Length: 255, SOAP: "InferredCompany", ReadOnly: true, make: rarely(2, from(companies))},
		{Name: "createdAt", Display: "Created At", Type: "datetime", SOAP: "CreatedAt", ReadOnly: true, make: func(l *lead, _ uint64) value { return stamp(l.created) }},
		{Name: "updatedAt", Display: "Updated At", Type: "datetime", SOAP: "UpdatedAt", ReadOnly: true, make: func(l *lead, _ uint64) value { return stamp(l.updated) }},
		{Name: "mktoPersonNotes", Display: "Person Notes", Type: "textarea", SOAP: "MktoPersonNotes", make: rarely(3, from(notes))},
		{Name: "Customer_Tier__c", Display: "Customer Tier", Type: "string", Length: 255, make: sometimes(3, from(tiers))},
		{Name: "Region_Code__c", Display: "Region Code", Type: "string", Length: 10, make: sometimes(3, from(regions))},
		{Name: "region_code__c", Display: "Region Code (old)", Type: "string", Length: 10, make: rarely(3, from(regions))},
		{Name: "SICCode__c", Display: "SIC Code (CRM)", Type: "string", Length: 20, make: rarely(2, digits("0", 3))},
		{Name: "Account_Number__c", Display: "Account Number", Type: "string", Length: 40, make: sometimes(2, digits("000", 7))},
		{Name: "2ndContact__c", Display: "Second Contact", Type: "email", Length: 255, make: rarely(6, email)},
		{Name: "Renewal_Date__c", Display: "Renewal Date", Type: "date", make: rarely(2, func(_ *lead, h uint64) value { return day(20_000 + int64(simulate.Pick(h, 1500))) })},
		{Name: "Last_Demo_At__c", Display: "Last Demo At", Type: "datetime", make: rarely(3, since)},
		{Name: "Health_Score__c", Display: "Health Score", Type: "score", make: rarely(2, number(0, 100))},
		{Name: "Win_Probability__c", Display: "Win Probability", Type: "percent", make: rarely(2, func(_ *lead, h uint64) value {
			v := integer(int64(simulate.Pick(h, 101)))
			if h&3 == 0 {
				v.kind = kindPoint
			}
			return v
		})},
		{Name: "Contract_Value__c", Display: "Contract Value", Type: "currency", make: rarely(3, func(_ *lead, h uint64) value { return cents(int64(simulate.Pick(h, 100_000_000))) })},
		{Name: "Satisfaction__c", Display: "Satisfaction", Type: "float", make: rarely(3, func(_ *lead, h uint64) value { return float(float64(simulate.Pick(h, 50)) / 10) })},
		{Name: "Is_Champion__c", Display: "Is Champion", Type: "boolean", make: sometimes(4, flag(3))},
		{Name: "External_Id__c", Display: "External Id", Type: "integer", make: sometimes(6, func(_ *lead, h uint64) value { return integer(3_000_000_000 + int64(simulate.Pick(h, 1<<40))) })},
		{Name: "Routing__c", Display: "Routing", Type: "lead_function", make: rarely(5, from(regions))},
		{Name: "Notes__c", Display: "CRM Notes", Type: "textarea", make: rarely(3, from(notes))},
		{Name: "Full_Label__c", Display: "Full Label", Type: "formula", ReadOnly: true, make: from(titles)},
		{Display: "Legacy Tag", Type: "string", Length: 255, SOAP: "Legacy_Tag", NoREST: true, ReadOnly: true, make: from(tiers)},
		{Name: "externalSalesPersonId", Display: "External Sales Person Id", Type: "string", Length: 255, SOAP: "ExternalSalesPersonId", make: sometimes(3, func(_ *lead, h uint64) value {
			return text(salesPersonKey(simulate.Pick(h, salesPersons+2))) // the last two do not exist
		})},
	}
	for i, f := range list {
		f.ID = int64(40 + 3*i)
		f.salt = salt(f.Name)
	}
	return list
}

func salt(name string) uint64 {
	h := uint64(len(name))
	for i := range len(name) {
		h = simulate.Hash(h, uint64(name[i]), 0, 0)
	}
	return h
}

// makeFor returns what fills a field that a test adds.
func makeFor(dataType string) (func(*lead, uint64) value, error) {
	switch dataType {
	case "string", "lead_function":
		return sometimes(3, from(tiers)), nil
	case "text", "textarea":
		return sometimes(3, from(notes)), nil
	case "email":
		return sometimes(3, email), nil
	case "phone", "reference":
		return sometimes(3, digits("0", 6)), nil
	case "url":
		return sometimes(3, from(links)), nil
	case "integer", "score", "percent":
		return sometimes(3, number(0, 100)), nil
	case "float":
		return sometimes(3, func(_ *lead, h uint64) value { return float(float64(simulate.Pick(h, 1000)) / 8) }), nil
	case "currency":
		return sometimes(3, func(_ *lead, h uint64) value { return cents(int64(simulate.Pick(h, 1_000_000))) }), nil
	case "boolean":
		return sometimes(3, flag(2)), nil
	case "date":
		return sometimes(3, func(_ *lead, h uint64) value { return day(20_000 + int64(simulate.Pick(h, 900))) }), nil
	case "datetime":
		return sometimes(3, since), nil
	case "formula":
		return from(titles), nil
	}
	return nil, fmt.Errorf("data type %q is not known", dataType)
}

func ip(h uint64) value {
	b := make([]byte, 0, 15)
	for i := range 4 {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, h>>(8*i)&0xff, 10)
	}
	return text(string(b))
}
