"""Systems that know people: directories, personnel feeds, SCIM."""
