/**
 * Shows each component in each of its states, for whoever changes one: `#/kit`, to which nothing leads.
 */
import type { ComponentChildren } from "preact"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import type { Detail, History, Row } from "./client.ts"
import { CopyText } from "./CopyText.tsx"
import { ElementTable } from "./Elements.tsx"
import { Figures } from "./Figures.tsx"
import { LostStrip, NoticeStrip, TroubleStrip } from "./Foot.tsx"
import { Sentence } from "./JobPage.tsx"
import { JobRow } from "./JobRow.tsx"
import { RatePlot } from "./RatePlot.tsx"
import { SettingsForm } from "./SettingsForm.tsx"

const start = Date.UTC(2026, 10, 29, 12)

const progress: Row["progress"] = {
  done: 16_412,
  failed: 0,
  skipped: 0,
  tags: {},
  causes: {},
  units: { bytes: 3_435_973_836 },
  totals: { bytes: 8_589_934_592, items: 41_020 },
  rates: { bytes: 131_072_000, items: 640 },
  startedAt: start,
  share: 0.4,
  leftMillis: 39_000
}

const row: Row = {
  id: "7x2k9qv4m1ab",
  name: "copy",
  title: "copy Photos → /mnt/backup",
  state: "Running",
  stateText: "running",
  pausedBy: null,
  request: null,
  isOwnerDead: false,
  error: null,
  actions: ["pause", "cancel"],
  createdAt: start,
  updatedAt: start,
  finishedAt: null,
  parent: null,
  schedule: null,
  counted: "16,412 copied, 3.2 GiB",
  progress
}

const still = { ...progress, rates: {}, leftMillis: null }

const rows: ReadonlyArray<Row> = [
  row,
  { ...row, id: "2", stateText: "pausing", request: "Pause", progress: { ...progress, share: null, leftMillis: null } },
  { ...row, id: "3", stateText: "process gone", isOwnerDead: true, progress: still },
  { ...row, id: "4", state: "Queued", stateText: "queued", progress: { ...still, startedAt: null } },
  { ...row, id: "5", state: "Paused", stateText: "paused: disk", pausedBy: "disk", progress: { ...still, failed: 3 } },
  { ...row, id: "6", state: "Completed", stateText: "done", finishedAt: start, progress: still },
  {
    ...row,
    id: "7",
    state: "CompletedWithErrors",
    stateText: "some failed",
    finishedAt: start,
    counted: "41,019 copied, 1,000,003 failed",
    progress: { ...still, failed: 1_000_003 }
  },
  {
    ...row,
    id: "8",
    state: "Failed",
    stateText: "failed",
    finishedAt: start,
    error: "There is nothing at “/nope”: check the spelling, or mount what it is on."
  },
  { ...row, id: "9", state: "Cancelled", stateText: "cancelled", finishedAt: start, progress: still },
  { ...row, id: "10", title: `copy <b>bold</b> \u202Egnp.exe ${"and a very long name ".repeat(9)}` }
]

const job: Detail = {
  ...row,
  what: ["copies", "\"/home/ada/Photos\" to \"/mnt/backup\""],
  standing: "running",
  next: "",
  version: 1,
  attempt: 2,
  priority: "normal",
  limits: { concurrency: 8, bytesPerSecond: 20_971_520 },
  isThrottled: true,
  tags: [],
  owner: { token: 2, process: "4711-a1", machine: "ada" },
  hasCode: true,
  children: {},
  warnings: [],
  commands: [],
  payload: null,
  progress: { ...progress, failed: 12 }
}

const at = Array.from({ length: 120 }, (_, index) => start + 1000 * index + (index > 70 ? 45_000 : 0))
const past: History = {
  everyMillis: 1000,
  at,
  items: at.map((_, index) => 640 * index),
  failed: at.map(() => 0),
  bytes: at.map((_, index) => Math.round(1.1e8 * index + 1e8 * Math.sin(index / 6))),
  tasks: at.map(() => 64),
  marks: [
    { at: start, kind: "Started", token: 1 },
    { at: start + 70_000, kind: "Paused", token: 1 },
    { at: start + 115_000, kind: "Started", token: 2 },
    { at: start + 140_000, kind: "Set", token: 2 }
  ]
}

const Part = ({ children, title }: { readonly title: string; readonly children: ComponentChildren }) => (
  <section>
    <h2>{title}</h2>
    {children}
  </section>
)

export const Kit = () => (
  <main>
    <h1>Kit</h1>
    <Part title="Rows">
      <ul class="jobs can-select">{rows.map((job) => <JobRow key={job.id} job={job} canSelect />)}</ul>
    </Part>
    <Part title="Job">
      <Sentence job={job} />
      <Figures job={job} history={past} />
      <RatePlot history={past} />
      <SettingsForm job={job} />
    </Part>
    <Part title="Failures">
      <ElementTable
        items={["/home/ada/Photos/2019/IMG_0042.jpg", "/<script>alert(1)</script>"].map((key, seq) => ({
          seq,
          fanOut: "entries",
          key,
          outcome: "Failed",
          cause: "exists",
          message: "it is there already, and the conflict mode is error",
          count: 1,
          attempt: 1 + seq,
          at: start
        }))}
      />
    </Part>
    <Part title="Blank">
      <Waiting />
      <Blank title="There are no jobs yet.">
        <CopyText text="fanout copy a b" />
      </Blank>
      <Broken error={new TypeError()} />
    </Part>
    <Part title="Strips">
      <LostStrip since={start} />
      <TroubleStrip why="The database is locked." />
      <NoticeStrip notice={{ id: 1, text: "12 jobs asked to pause.", isBad: false }} />
      <NoticeStrip notice={{ id: 2, text: "Refused. It is not paused.", isBad: true }} />
    </Part>
  </main>
)
