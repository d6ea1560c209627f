"""Pictures of real reports for docs/gallery.md, and that of the live page for docs/web.md."""
