package marketosim

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/martsync/martsync/simulate"
)

// A thing is a record of an object that integrations keep in the account: a company, an
// opportunity, its role, a sales person, a named account.
type thing struct {
	rec   record // every field, moments and values
	gone  bool
	lead  int64    // roles: the index of the lead
	lists []string // named accounts: names of the lists they are on
}

// The kinds of things, and how many there are of some.
const (
	kindCompany = iota
	kindSalesPerson
	kindOpportunity
	kindRole
	kindNamed
	kindNamedList
	crmKinds

	salesPersons = 20
	companyKeys  = 1000 // leads name LARK-000 to LARK-999
)

// A crmKind is what describe tells of an object. (Marketo REST API, Companies, Opportunities,
// Opportunity Roles, Sales Persons, Named Accounts, Named Account Lists)
type crmKind struct {
	path       string // below /rest/v1/
	name       string // of describe; "": there is no describe
	table      string // "": no truth
	permission string
	id         string
	dedupe     []string
	search     []string
	defaults   []string // fields of a reply when none are asked for; nil: every one
	fields     []crmField
}

type crmField struct {
	name, dataType string
	length         int
}

var crmObjects = [crmKinds]*crmKind{
	kindCompany: {
		path: "companies", name: "Company", table: "companies", permission: "Read-Only Company",
		id: "id", dedupe: []string{"externalCompanyId"}, search: []string{"externalCompanyId", "id", "company"},
		defaults: []string{"id", "externalCompanyId", "createdAt", "updatedAt"},
		fields: []crmField{
			{"createdAt", "datetime", 0},
			{"externalCompanyId", "string", 255},
			{"id", "integer", 0},
			{"updatedAt", "datetime", 0},
			{"company", "string", 255},
			{"billingCity", "string", 255},
			{"industry", "string", 255},
			{"website", "url", 255},
			{"annualRevenue", "currency", 0},
			{"numberOfEmployees", "integer", 0},
			{"Account_Notes__c", "text", 0},
		},
	},
	kindSalesPerson: {
		path: "salespersons", name: "Sales Person", table: "sales_persons", permission: "Read-Only Sales Person",
		id: "id", dedupe: []string{"externalSalesPersonId"}, search: []string{"id", "externalSalesPersonId", "email"},
		fields: []crmField{
			{"id", "integer", 0},
			{"externalSalesPersonId", "string", 255},
			{"email", "email", 255},
			{"firstName", "string", 255},
			{"lastName", "string", 255},
			{"title", "string", 255},
			{"createdAt", "datetime", 0},
			{"updatedAt", "datetime", 0},
		},
	},
	kindOpportunity: {
		path: "opportunities", name: "Opportunity", table: "opportunities", permission: "Read-Only Opportunity",
		id: "marketoGUID", dedupe: []string{"externalOpportunityId"}, search: []string{"externalOpportunityId", "marketoGUID"},
		defaults: []string{"marketoGUID", "externalOpportunityId", "createdAt", "updatedAt"},
		fields: []crmField{
			{"marketoGUID", "string", 36},
			{"externalOpportunityId", "string", 50},
			{"createdAt", "datetime", 0},
			{"updatedAt", "datetime", 0},
			{"name", "string", 255},
			{"description", "text", 0},
			{"stage", "string", 255},
			{"amount", "currency", 0},
			{"probability", "percent", 0},
			{"closeDate", "date", 0},
			{"isClosed", "boolean", 0},
			{"isWon", "boolean", 0},
		},
	},
	kindRole: {
		path: "opportunities/roles", name: "Opportunity Role", table: "opportunity_roles", permission: "Read-Only Opportunity",
		id: "marketoGUID", dedupe: []string{"externalOpportunityId", "leadId", "role"}, search: []string{"marketoGUID", "leadId", "externalOpportunityId"},
		defaults: []string{"marketoGUID", "externalOpportunityId", "leadId", "role", "createdAt", "updatedAt"},
		fields: []crmField{
			{"marketoGUID", "string", 36},
			{"externalOpportunityId", "string", 50},
			{"leadId", "integer", 0},
			{"role", "string", 50},
			{"isPrimary", "boolean", 0},
			{"createdAt", "datetime", 0},
			{"updatedAt", "datetime", 0},
		},
	},
	kindNamed: {
		path: "namedaccounts", name: "Named Account", table: "named_accounts", permission: "Read-Only Named Account",
		id: "marketoGUID", dedupe: []string{"name"}, search: []string{"marketoGUID", "name", "domainName", "industry"},
		defaults: []string{"marketoGUID", "name", "createdAt", "updatedAt"},
		fields: []crmField{
			{"marketoGUID", "string", 36},
			{"name", "string", 255},
			{"domainName", "string", 255},
			{"industry", "string", 255},
			{"city", "string", 255},
			{"annualRevenue", "currency", 0},
			{"numberOfEmployees", "integer", 0},
			{"createdAt", "datetime", 0},
			{"updatedAt", "datetime", 0},
		},
	},
	kindNamedList: {
		path: "namedAccountLists", permission: "Read-Only Named Account List",
		id: "marketoGUID", dedupe: []string{"name"},
		fields: []crmField{
			{"marketoGUID", "string", 36},
			{"name", "string", 255},
			{"type", "string", 0},
			{"updateable", "boolean", 0},
			{"createdAt", "datetime", 0},
			{"updatedAt", "datetime", 0},
		},
	},
}

// namedLists are the lists of named accounts. One name has a comma, which no filter of several
// values can hold.
var namedLists = [...]string{"Tier 1", "EMEA focus, 2026", "Partners"}

func companyKey(i int) string { return fmt.Sprintf("LARK-%03d", i) }

func salesPersonKey(i int) string { return fmt.Sprintf("rep-%02d@larkfield.example", i) }

func opportunityKey(i int) string { return "OPP-" + strconv.Itoa(8000+i) }

// newCRM makes the things of the start. Some of what leads name does not exist, and of every
// ten opportunities one has no role, so that nothing leads to it.
func (w *world) newCRM(crm *[crmKinds][]*thing) {
	for i := range min(companyKeys, int(w.size.leads)) {
		if i%13 != 5 {
			created, updated := w.assetTimes("company", i)
			crm[kindCompany] = append(crm[kindCompany], w.newCompany(i, created, updated))
		}
	}
	for i := range salesPersons {
		created, updated := w.assetTimes("salesperson", i)
		h := simulate.Hash(w.seed, saltCRM, kindSalesPerson, uint64(i))
		crm[kindSalesPerson] = append(crm[kindSalesPerson], &thing{rec: record{
			{"id", int64(11 + i)},
			{"externalSalesPersonId", salesPersonKey(i)},
			{"email", salesPersonKey(i)},
			{"firstName", firstNames.at(h)},
			{"lastName", lastNames.at(h << 8)},
			{"title", sparse(i, titles.at(h<<16))},
			{"createdAt", moment(created)},
			{"updatedAt", moment(updated)},
		}})
	}
	for i := range int(max(w.size.leads/10, 5)) {
		created, updated := w.assetTimes("opportunity", i)
		crm[kindOpportunity] = append(crm[kindOpportunity], w.newOpportunity(i, created, updated))
		if i%10 == 7 {
			continue
		}
		h := simulate.Hash(w.seed, saltCRM, kindRole, uint64(i))
		for n := range 1 + i%3 {
			lead := int64(simulate.Pick(h, int(w.size.leads)))
			crm[kindRole] = append(crm[kindRole], w.newRole(i, n, lead, created, updated))
			h = simulate.Next(h)
		}
	}
	for i, name := range namedLists {
		made := moment(w.leadsFrom)
		crm[kindNamedList] = append(crm[kindNamedList], &thing{rec: record{
			{"marketoGUID", w.guid(kindNamedList, i)},
			{"name", name},
			{"type", []string{"default", "external"}[i%2]},
			{"updateable", i%2 == 0},
			{"createdAt", made},
			{"updatedAt", made},
		}})
	}
	for i := range 25 {
		created, updated := w.assetTimes("named", i)
		crm[kindNamed] = append(crm[kindNamed], w.newNamed(i, created, updated))
	}
}

func (w *world) guid(kind, i int) string {
	return simulate.UUID(simulate.Hash(w.seed, saltCRM, uint64(kind)<<32, uint64(i)))
}

// sparse is nil for one thing in three: a field without a value is left out of replies.
func sparse(i int, v any) any {
	if i%3 == 1 {
		return nil
	}
	return v
}

func (w *world) newCompany(i int, created, updated int64) *thing {
	h := simulate.Hash(w.seed, saltCRM, kindCompany, uint64(i))
	return &thing{rec: record{
		{"createdAt", moment(created)},
		{"externalCompanyId", companyKey(i)},
		{"id", int64(61 + 2*i)},
		{"updatedAt", moment(updated)},
		{"company", companies.at(h)},
		{"billingCity", sparse(i, cities.at(h<<8))},
		{"industry", sparse(i+1, industries.at(h<<16))},
		{"website", sparse(i+2, links.at(h<<24))},
		{"annualRevenue", sparse(i, cents(int64(h%9_000_000_000)))},
		{"numberOfEmployees", sparse(i+1, int64(h%250_000))},
		{"Account_Notes__c", sparse(i, notes.at(h<<12))},
	}}
}

// newOpportunity makes an opportunity. Its amount is a string, as the vendor's samples show it.
func (w *world) newOpportunity(i int, created, updated int64) *thing {
	h := simulate.Hash(w.seed, saltCRM, kindOpportunity, uint64(i))
	return &thing{rec: record{
		{"marketoGUID", w.guid(kindOpportunity, i)},
		{"externalOpportunityId", opportunityKey(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"name", "Lens refit \"" + strconv.Itoa(i) + "\""},
		{"description", sparse(i, notes.at(h))},
		{"stage", statuses.at(h << 8)},
		{"amount", cents(int64(h % 5_000_000)).String()},
		{"probability", sparse(i+1, int64(h%101))},
		{"closeDate", day(updated/daySecs + int64(h%90))},
		{"isClosed", h%4 == 0},
		{"isWon", h%8 == 0},
	}}
}

func (w *world) newRole(opportunity, n int, lead, created, updated int64) *thing {
	return &thing{lead: lead, rec: record{
		{"marketoGUID", w.guid(kindRole, opportunity<<8|n)},
		{"externalOpportunityId", opportunityKey(opportunity)},
		{"leadId", w.leadID(lead)},
		{"role", []string{"Buyer", "Decision maker", "Influencer \"EU\"", "Billing, Legal"}[n%4]},
		{"isPrimary", n == 0},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
	}}
}

// newNamed makes a named account: on one list, on two, or, one in four, on none.
func (w *world) newNamed(i int, created, updated int64) *thing {
	h := simulate.Hash(w.seed, saltCRM, kindNamed, uint64(i))
	t := &thing{rec: record{
		{"marketoGUID", w.guid(kindNamed, i)},
		{"name", fmt.Sprintf("Larkfield %d, \"Optics\"", i)},
		{"domainName", sparse(i, domains[h%uint64(len(domains))])},
		{"industry", industries.at(h)},
		{"city", sparse(i+1, cities.at(h<<8))},
		{"annualRevenue", cents(int64(h % 9_000_000_000))},
		{"numberOfEmployees", sparse(i+2, int64(h%250_000))},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
	}}
	if i%4 < len(namedLists) {
		t.lists = append(t.lists, namedLists[i%4])
	}
	if i%5 == 0 && !slices.Contains(t.lists, namedLists[0]) {
		t.lists = append(t.lists, namedLists[0])
	}
	return t
}

// shows reports whether reads show the thing.
func (s *state) shows(kind int, t *thing) bool {
	return !t.gone && (kind != kindRole || s.exists(t.lead))
}
