/**
 * Starts the page.
 */
import { effect } from "@preact/signals"
import { render } from "preact"
import { App } from "./App.tsx"
import { meet } from "./asking.ts"
import { obeyKeys } from "./keyboard.ts"
import { connection, start } from "./live.ts"
import { enter } from "./session.ts"

// What is asked before the page was let in is refused. A server that can't be reached is told of as ever.
await enter().catch(() => {})
const page = document.getElementById("page")
if (page !== null) render(<App />, page)
obeyKeys()
start()
// A server that is back may be another one.
effect(() => {
  if (connection.value._tag === "Live") void meet()
})
