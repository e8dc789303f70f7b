/**
 * Shows the head of the page, what the address asks for, and the foot.
 */
import { useEffect } from "preact/hooks"
import { server } from "./asking.ts"
import { Blank } from "./Blank.tsx"
import { areKeysShown, Dialogs } from "./Dialogs.tsx"
import { DoctorPage } from "./DoctorPage.tsx"
import { Foot } from "./Foot.tsx"
import { JobPage } from "./JobPage.tsx"
import { JobsPage } from "./JobsPage.tsx"
import { Kit } from "./Kit.tsx"
import { connection } from "./live.ts"
import { type Route, route, to } from "./route.ts"
import { SchedulePage } from "./SchedulePage.tsx"
import { SchedulesPage } from "./SchedulesPage.tsx"
import { clear } from "./selection.ts"
import { isTaken } from "./session.ts"
import { printable } from "./shown.ts"

const connections = {
  Connecting: "connecting",
  Live: "live",
  Lost: "lost"
} as const

const Head = () => {
  const words = connections[connection.value._tag]
  const [first] = route.value.parts
  return (
    <header>
      <a class="name" href={to(["jobs"])}>fanout</a>
      <nav aria-label="Sections">
        <a href={to(["jobs"])} aria-current={first === "jobs" ? "page" : undefined}>Jobs</a>
        <a href={to(["schedules"])} aria-current={first === "schedules" ? "page" : undefined}>Schedules</a>
        <a href={to(["doctor"])} aria-current={first === "doctor" ? "page" : undefined}>Doctor</a>
      </nav>
      <p class="server">
        {server.value !== undefined && (
          <>
            <span class="store" title={printable(server.value.database)}>{printable(server.value.database)}</span>
            {server.value.isReadOnly && <span>read-only</span>}
          </>
        )}
        <span class={`connection ${words}`}>{words}</span>
        <button
          type="button"
          class="quiet"
          aria-label="Keys"
          aria-keyshortcuts="?"
          onClick={() => areKeysShown.value = true}
        >
          ?
        </button>
      </p>
    </header>
  )
}

/** The page was opened without a code that is of use, or its server is gone. */
const Locked = () => (
  <main class="locked">
    <h1>This page is locked</h1>
    <p>
      An address of <code>fanout ui</code>{" "}
      lets in one browser, once, and only while that command runs. The terminal of the command, or the file that it
      names, has the next one.
    </p>
    <p>If the command has ended, start it again, and open the new address:</p>
    <pre>fanout ui</pre>
    <p>If another application shows this page, log in there again.</p>
  </main>
)

const titles: Readonly<Record<string, string>> = { doctor: "Doctor", schedules: "Schedules" }

const titleOf = ({ parts: [first = "", id] }: Route): string =>
  `${id === undefined ? titles[first] ?? "Jobs" : printable(id)} · fanout`

const Shown = ({ route }: { readonly route: Route }) => {
  const [first, id] = route.parts
  if (first === "kit") return <Kit />
  if (first === "doctor") return <DoctorPage />
  if (first === "schedules") {
    return id === undefined ? <SchedulesPage route={route} /> : <SchedulePage key={id} route={route} />
  }
  if (first === "jobs") return id === undefined ? <JobsPage route={route} /> : <JobPage key={id} route={route} />
  return (
    <main>
      <h1>Nothing is here</h1>
      <Blank title="There is no such page.">
        <p>
          <a href={to(["jobs"])}>Show all jobs</a>
        </p>
      </Blank>
    </main>
  )
}

export const App = () => {
  const { parts, query } = route.value
  useEffect(() => {
    document.title = titleOf(route.value)
    clear()
  }, [parts.join("/"), query.toString()])
  if (!isTaken.value) return <Locked />
  return (
    <>
      <Head />
      <Shown route={route.value} />
      <Foot />
      <Dialogs />
    </>
  )
}
