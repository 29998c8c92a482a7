package marketosim

// The texts of the account. Among ordinary ones are those that break careless readers: quotes,
// delimiters and line ends inside, other scripts, emoji, leading zeros, the word null as part of
// a text, Unicode line separators, a replacement character that an old import left behind, and
// spaces at the ends. No text is exactly "null", since files cannot tell that from no value.

type table []phrase

func newTable(texts ...string) table {
	t := make(table, len(texts))
	for i, s := range texts {
		t[i] = newPhrase(s)
	}
	return t
}

var (
	firstNames = newTable("Ines", "Tomas", "Ada", "Luka", "Mirela", "Noor", "Olu", "Priya", "Quentin", "Rosa", "Sven",
		"Tala", "Uma", "Viktor", "Wen", "Yara", "Zoë", "José", "美咲", "伟", "Łucja", "Søren", "Nullah", "D'Arcy", "Анна", "지우")
	lastNames = newTable("Marlow", "Brindle", "O'Keefe", "de la Cruz", "Nullmann", "Zhang", "佐藤", "Þórsson", "Müller",
		"van den Berg", "Smith, Jr.", "Kowalczyk", "Adeyemi", "Patel", "García Márquez", "Ng", "Østergård", "Иванова", "Park", "Nguyễn")
	asciiNames = []string{"ines", "tomas", "ada", "luka", "mirela", "noor", "olu", "priya", "quentin", "rosa", "sven", "tala", "uma", "viktor", "wen", "yara"}
	domains    = []string{"larkfield.example", "brindle.example", "quarrystone.example", "blauwberg.example", "tanuki.example", "northfen.example"}
	companies  = newTable("Larkfield Optics, Ltd", "Brindle \"North\" GmbH", "Quarrystone", "Blauwberg B.V.", "株式会社タヌキ",
		"Northfen & Sons", "Null Island Surveying", "Café des Lilas", "ACME; Tools", "Tab\tStop Media", "12 Monkeys", "0815 Handels GmbH",
		"Ünïcode SE", "Müller\ufffdBrot", "Aurora 🌅 Travel", "Trailing Space Inc ", "Greenline", "Kestrel Data", "Ostmark Logistik", "Finch \"and\" Co")
	titles = newTable("VP, Marketing", "Analyst", "Head of \"Growth\" and Data", "CEO", "Director of Sales", "マネージャー", "Owner / Operator",
		"Buyer", "Null Hypothesis Tester", "Ingénieure", "Assistant to the Manager", "CTO")
	departments = newTable("Sales", "Marketing", "R&D", "Finance", "Customer Success", "IT; Security")
	salutations = newTable("Ms", "Mr", "Dr.", "Prof. Dr.", "Mx")
	industries  = newTable("Optics", "Food, Beverage", "Logistics", "Software", "Public Sector", "Travel", "製造業")
	streets     = newTable("12 Harbour Rd", "Hauptstraße 5\nHinterhaus", "1-2-3 Shibuya", "221B Baker Street,\r\nFlat 2", "Rua \"Nova\" 7", "PO Box 0042", "Calle 13, 4º\u2028Izq.")
	cities      = newTable("Dublin", "München", "東京", "São Paulo", "Kraków", "Fresno, CA", "Nairobi", "Oslo")
	states      = newTable("CA", "BY", "SP", "Leinster", "NRW", "null and void")
	countries   = newTable("Ireland", "Germany", "Japan", "Brazil", "Poland", "United States", "Korea, Republic of", "Norway")
	sources     = newTable("Web", "Trade Show", "Referral", "Purchased, \"List\"", "Webinar", "Organic")
	statuses    = newTable("New", "Open", "Qualified", "Disqualified", "Recycled")
	ratings     = newTable("Hot", "Warm", "Cold")
	reasons     = newTable("Asked by mail", "No longer there", "Said \"never again\", loudly", "迷惑メール", "Moved\nto another firm")
	notes       = newTable("Met at the fair.\nWants a quote, soon.", "She said: \"call me, maybe\"", "絵文字 😀 と 漢字\n二行目",
		"Line one\r\nLine two\r\n\r\nLine four", "a;b,c\td|e", "null, nil, none", "C:\\temp\\new \"file\".csv", "{\"looks\": \"like JSON\"}",
		"separator\u2028inside\u2029text\u0085end", "Old import: caf\ufffd", "=SUM(A1:A9)", " leading and trailing ", "''quoted'' and `ticked`",
		"A long one: the customer runs three plants in two countries, uses lenses of six makers, and would like to have one invoice a month instead of forty, in English, with the cost centres of all plants on it.")
	tiers     = newTable("Gold", "Silver", "Bronze", "Platinum \"Plus\"", "n/a")
	regions   = newTable("EMEA", "APJ", "AMER", "DACH, North")
	agents    = newTable("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148", "Outlook; \"Classic\"")
	devices   = newTable("unknown", "iPhone", "iPad", "Android phone")
	platforms = newTable("Windows", "iOS", "Android", "Mac OS X")
	pages     = newTable("/pricing", "/", "/blog/10-lenses-for-2026?utm_source=mail&utm_term=a,b", "/demo", "/about/\"us\"", "/de/preise#größe", "/contact;v=1")
	links     = newTable("https://www.larkfield.example/pricing?a=1&b=2", "https://www.larkfield.example/webinar", "https://www.larkfield.example/q?x=\"y\"", "mailto:sales@larkfield.example", "https://www.larkfield.example/ja/案内")
	forms     = newTable("Contact us", "WBN Registration", "Download \"Guide\", 2026", "Demo request")
	formData  = newTable("a:2:{s:5:\"Email\";s:22:\"ines@larkfield.example\";s:7:\"Company\";s:9:\"Larkfield\";}", "a:1:{s:9:\"FirstName\";s:4:\"Olu\\n\";}", "a:0:{}")
	bounces   = newTable("550 5.1.1 <nobody@brindle.example>: Recipient address rejected: User unknown", "mailbox full; try \"later\"", "451 4.7.1 Greylisted,\r\nplease retry")
	flows     = newTable("Marketo Flow Action", "Web form fillout", "Web service API", "Salesforce.com", "List import")
	whys      = newTable("Flow step, \"Warm up\"", "Form filled out", "Changed by smart campaign Scoring.01 Web, daily", "API", "取り込み\nsecond line")
	moments   = newTable("Visited pricing 3 times", "Opened \"Launch\" email, twice", "Attended webinar 🎉")
)

func (t table) at(h uint64) value {
	return value{kind: kindText, p: &t[int((h>>32)*uint64(len(t))>>32)]}
}
