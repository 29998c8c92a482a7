package pardotsim

// The texts of the business unit. Among ordinary ones are those that break careless readers: quotes,
// delimiters and line ends inside, HTML and its entities, control characters, other scripts, emoji,
// leading zeros, the word null, and spaces at the ends.

type words []string

var (
	firstNames = words{
		"Ida", "Tomas", "Ada", "Luka", "Mirela", "Noor", "Olu", "Priya", "Quentin", "Rosa", "Sven", "null", "Zoë", "José", "美咲", "伟",
		"Łucja", "D'Arcy", "Анна", "지우", "Null", "Jean-Luc 🪁", "Tala", "Uma", "Viktor", "Wen", "Yara", "Mia",
	}
	lastNames = words{
		"Moor", "Teal", "O'Keefe", "de la Cruz", "Nullmann", "Zhang", "佐藤", "Þórsson", "Müller", "van den Berg", "Smith, Jr.",
		"Kowalczyk", "Adeyemi", "García Márquez", "Ng", "Østergård", "Иванова", "NULL", "<Test>", "Fish & Chips", "Nguyễn", "undefined",
	}
	asciiNames = words{"ida", "tomas", "ada", "luka", "mirela", "noor", "olu", "priya", "quentin", "rosa", "sven", "null", "tala", "uma", "viktor", "wen"}
	domains    = words{"moor.example", "teal.example", "quarrystone.example", "blauwberg.example", "tanuki.example", "northfen.example"}
	companies  = words{
		"Moor & Sons", "Teal \"Sea\" GmbH", "Quarrystone", "Blauwberg B.V.", "株式会社タヌキ", "R&amp;D Labs", "Null Island Surveying", "Café des Lilas",
		"ACME; Tools", "Tab\tStop Media", "12 Monkeys", "0815 Handels GmbH", "Kites < Planes > Birds", "Aurora 🌅 Travel", "Trailing Space Inc ", "&copy; Partners", "Finch 'and' Co, Ltd",
	}
	titles      = words{"VP, Marketing", "Analyst", "Head of \"Growth\" & Data", "CEO", "マネージャー", "Owner / Operator", "Buyer", "Null Hypothesis Tester", "Ingénieure", "CTO"}
	departments = words{"Sales", "Marketing", "R&D", "Finance", "Customer Success", "IT; Security"}
	salutations = words{"Ms", "Mr", "Dr.", "Prof. Dr.", "Mx"}
	industries  = words{"Toys", "Food, Beverage", "Logistics", "Software", "Public Sector", "Travel", "製造業"}
	streets     = words{"12 Harbour Rd", "Hauptstraße 5\nHinterhaus", "1-2-3 Shibuya", "221B Baker Street,\r\nFlat 2", "Rua \"Nova\" 7", "PO Box 0042", "C\\O Desk #4"}
	cities      = words{"Boston", "München", "東京", "São Paulo", "Kraków", "Fresno, CA", "Nairobi", "Oslo"}
	regions     = words{"MA", "BY", "SP", "CA", "NRW", "null"}
	countries   = words{"United States", "Germany", "Japan", "Brazil", "Poland", "Korea, Republic of", "Norway", "Côte d'Ivoire"}
	territories = words{"EMEA", "APJ", "AMER", "DACH, North"}
	zips        = words{"02134", "00501", "80331", "150-0002", "01000-000", "0000", "SW1A 1AA", "94105-0011"}
	phones      = words{"+1 617 555 0100", "089-5550", "0033 1 55 50 00", "(555) 010-0", "555.0199 x004", "0000000000"}
	sources     = words{"Web", "Trade Show", "Referral", "Purchased, \"List\"", "Webinar", "Google AdWords"}
	revenues    = words{"1000000", "$1,000,000", "0", "007", "10M - 50M", "1.5e6"}
	headcounts  = words{"11", "1-10", "0250", "5,000+", "12"}
	years       = words{"3", "07", "120", "< 1"}
	grades      = words{"A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-", "D+", "D", "D-", "F"}
	remarks     = words{
		"Met at the fair.\nWants a quote, soon.", "She said: \"call me, maybe\"", "絵文字 😀 と 漢字\n二行目", "Line one\r\nLine two\r\n\r\nLine four",
		"a;b,c\td|e", "null", "C:\\temp\\new \"file\".csv", "{\"looks\": \"like JSON\"}", "5 < 6 && 7 > 4, see R&amp;D", "=SUM(A1:A9)", " leading and trailing ",
		"''quoted'' and `ticked`", "bell\x07, escape\x1b, unit\x1f, vertical\x0btab", "old Mac\rline ends\rhere", "<b>bold</b> &lt;not&gt; &#39;raw&#39; &nbsp;",
		"separator\u2028inside\u2029text\u0085end", "a long one: the customer flies three plants in two countries, uses kites of six makers, and would like one invoice a month instead of forty, in English, with the cost centres of all plants on it",
	}
	interactions = words{"Visited \"Pricing\"", "Opened Spring Kite Fair", "Form: Catalog Request", "Never active", "Click, https://kites.example/sale?a=1&b=2"}
	bounceWhys   = words{"550 5.1.1 <nobody@teal.example>: user unknown", "mailbox full; try \"later\"", "451 4.7.1 Greylisted,\r\nplease retry"}
	campaignList = words{"Spring Kite Fair", "Website Tracking", "Email \"Drip\" & Co", "春のセール", "Q4, renewals", "Referral < 30 days", "Webinar 🎉", "null"}
	listNames    = words{"newsletter", "VIP & friends", "Unsubscribed, 2024", "セミナー参加者", "\"Hot\" leads", "Test <do not use>", "Dynamic: score > 100"}
	tagNames     = words{"vip", "Q&A", "trade-show", "2026", "null", "季節", "a,b", "\"quoted\"", "emoji 🪁"}
	formNames    = words{"Catalog Request", "Contact us", "Demo \"now\"", "お問い合わせ", "Webinar, sign-up", "Q & A"}
	subjects     = words{"Kites fly lower (in price)", "Your \"free\" catalog, inside", "秋のセール 🍁", "Re: R&D <update>", "null", "Last chance, %%first_name%%!", "50 % off & more"}
	mailNames    = words{"Sale mail", "Welcome 1", "Drip, step 2", "Autumn \"Newsletter\"", "Renewal & upsell", "招待状"}
	mailHTML     = words{
		"<html><body><p>Hi %%first_name%%,</p>\n<a href=\"https://kites.example/sale?a=1&amp;b=2\">Sale</a></body></html>",
		"<p>Fish &amp; Chips &copy; 2026</p>", "<div class=\"a\">\r\n  <b>こんにちは</b> 😀\r\n</div>", "<p>&lt;none&gt;</p>",
	}
	mailText     = words{"Hi %%first_name%%,\nhttps://kites.example/sale?a=1&b=2\n", "Fish & Chips, (c) 2026", "こんにちは 😀\r\n--\r\nKestrel", "<none>"}
	links        = words{"https://kites.example/sale?a=1&b=2", "https://kites.example/pricing", "https://kites.example/q?x=\"y\"", "mailto:sales@kites.example", "https://kites.example/ja/案内", "https://kites.example/a,b;c"}
	pages        = words{"https://kites.example/", "https://kites.example/blog/10-kites?utm_source=mail&utm_term=a,b", "https://kites.example/contact;v=1", "https://kites.example/preise#größe"}
	pageTitles   = words{"Kestrel Kites", "Pricing | \"Kites\" & more", "ブログ", "Contact, us"}
	files        = words{"Catalog", "Catalog \"Autumn\"\nsecond line", "price-list.pdf", "A & B <draft>.docx", "目録.pdf"}
	searches     = words{"kite", "\"box kite\" price", "凧", "null", "a & b", "rock'n'roll"}
	hosts        = words{"host-9.isp.example", "203-0-113-9.dsl.example", "crawler.example"}
	browsers     = words{"Chrome", "Firefox", "Safari", "Internet Explorer"}
	versions     = words{"126.0", "9.0", "17.5.1", "011"}
	systems      = words{"Windows", "Mac OS X", "iOS", "Linux"}
	languages    = words{"en-us", "de-de", "ja", "en-US,en;q=0.9"}
	terms        = words{"fair", "kites & more", "spring,2026", "凧", "cpc", "(not set)"}
	dealNames    = words{"Kestrel renewal", "New \"Fleet\", 40 kites", "R&D pilot", "大口契約", "Upsell < 10k"}
	stages       = words{"Quote", "Prospecting", "Negotiation/Review", "Closed, Won", "Closed \"Lost\""}
	dealTypes    = words{"Renewal", "New Business", "Existing & Upgrade"}
	statuses     = words{"won", "lost", "open", "Open"}
	colours      = words{"red", "teal", "sky blue", "black & white", "金", "\"neon\", bright"}
	tiers        = words{"Gold", "Silver", "Bronze", "Platinum \"Plus\"", "n/a", "null"}
	folderNames  = words{"Uncategorized", "Campaigns", "Email Templates", "2025 & before", "Archiv, alt", "保管"}
	stageNames   = words{"Visitor", "Prospect", "MQL", "SQL", "Won & done"}
	programNames = words{"Welcome series", "Re-engage > 90 days", "Onboarding, \"fast\"", "育成"}
	audiences    = words{"Show <b>\"spring\"</b> offer & more", "default", "<img src=\"https://kites.example/i.png\">"}
)
