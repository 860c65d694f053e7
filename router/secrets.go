package router

// secretSet finds secrets by name. It never changes.
type secretSet struct {
	names cowMap[*Secret]
	// repeated: two have the same name, of which the first has it.
	repeated bool
}

// Secret returns the secret "namespace/name" of the Spec, or nil.
func (t *Table) Secret(name string) *Secret {
	secret, _ := t.secrets.names.lookup(name)
	return secret
}

// next returns the set for the secrets of a new Spec, given those of the old.
func (s *secretSet) next(old, new []*Secret) *secretSet {
	hunks := diff(old, new)
	if len(hunks) == 0 {
		return s
	}
	if s.repeated {
		return indexSecrets(new)
	}
	e := s.names.edit(len(new) - len(old))
	for _, h := range hunks {
		for _, secret := range old[h.oldFrom:h.oldTo] {
			e.delete(secret.Name)
		}
	}
	for _, h := range hunks {
		for _, secret := range new[h.newFrom:h.newTo] {
			if _, taken := e.lookup(secret.Name); taken {
				return indexSecrets(new)
			}
			e.set(secret.Name, secret)
		}
	}
	return &secretSet{names: e.cowMap}
}

// indexSecrets indexes secrets from the first: of two with one name, it has it.
func indexSecrets(secrets []*Secret) *secretSet {
	e := (&cowMap[*Secret]{}).edit(len(secrets))
	set := &secretSet{}
	for _, secret := range secrets {
		if _, taken := e.lookup(secret.Name); taken {
			set.repeated = true
			continue
		}
		e.set(secret.Name, secret)
	}
	set.names = e.cowMap
	return set
}

// repeats returns the secrets whose name another one has.
func (s *secretSet) repeats(secrets []*Secret) (repeated []*Secret) {
	if !s.repeated {
		return nil
	}
	for _, secret := range secrets {
		if owner, _ := s.names.lookup(secret.Name); owner != secret {
			repeated = append(repeated, secret)
		}
	}
	return repeated
}
