s."id", s."the ""name""", s."active", s."score", s."worth", s."born", s."updated_at", s."more", s."photo", s."result"
