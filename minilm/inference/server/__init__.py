"""An HTTP server that speaks OpenAI's interface: fields -> engine -> answers, put together in app.

Nothing here is imported before a server is wanted; `app` and `listen` need Starlette and uvicorn.
"""
