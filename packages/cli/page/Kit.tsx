/**
 * Shows each component in each of its states, for whoever changes one: `#/kit`, to which nothing leads.
 */
import { Blank, Broken, Waiting } from "./Blank.tsx"
import type { Detail, History, Process, Row, Schedule, TaskTimes } from "./client.ts"
import { CopyText } from "./CopyText.tsx"
import { ChosenStrip, ElementTable, OfCause } from "./Elements.tsx"
import { Figures } from "./Figures.tsx"
import { LostStrip, NoticeStrip, TroubleStrip } from "./Foot.tsx"
import { Sentence } from "./JobPage.tsx"
import { JobRow } from "./JobRow.tsx"
import { TaskCharts } from "./Kinds.tsx"
import { LimitTable } from "./Limits.tsx"
import { ProcessList } from "./Processes.tsx"
import { RatePlot } from "./RatePlot.tsx"
import { ScheduleHead } from "./SchedulePage.tsx"
import { NoSchedules, ScheduleTable } from "./SchedulesPage.tsx"
import { Section } from "./Section.tsx"
import { choose } from "./selection.ts"
import { SettingsForm } from "./SettingsForm.tsx"
import { Branch, ChildCounts } from "./Tree.tsx"

const start = Date.UTC(2026, 10, 29, 12)

const progress: Row["progress"] = {
  done: 16_412,
  failed: 0,
  folders: 0,
  skipped: 0,
  vanished: 0,
  elements: 0,
  tags: {},
  causes: {},
  reasons: {},
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
  only: "only 3 chosen failures",
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

const schedule: Schedule = {
  name: "nightly",
  what: "copy -T Photos /mnt/backup",
  when: "every day at 03:00",
  cron: "0 3 * * *",
  timeZone: "Europe/Berlin",
  state: "on",
  stateText: "on",
  next: [start + 54_000_000],
  lastAt: start - 32_400_000,
  last: { id: row.id, state: "Completed", stateText: "done", isOwnerDead: false, error: null },
  missed: "the latest one is made up for",
  overlap: "waits until the one before is over",
  jitterMillis: 0,
  failures: 3,
  pausedAt: null,
  job: "scheduled",
  hasCode: true,
  command: "fanout copy -T Photos /mnt/backup",
  folder: "/home/ada"
}

const schedules: ReadonlyArray<Schedule> = [
  schedule,
  { ...schedule, name: "late", state: "due", stateText: "due now", next: [start], timeZone: "UTC" },
  { ...schedule, name: "queued", state: "waiting", stateText: "waits for its job" },
  {
    ...schedule,
    name: "failing",
    state: "paused",
    stateText: "paused: 3 failures",
    pausedAt: start,
    last: {
      id: row.id,
      state: "Failed",
      stateText: "failed",
      isOwnerDead: false,
      error: "There is nothing at “/nope”."
    }
  },
  { ...schedule, name: `<b>once</b> \u202E${"long ".repeat(9)}`, state: "over", stateText: "never", next: [] },
  { ...schedule, name: "new", when: "0 0 1,15 1-6 *", lastAt: null, last: null }
]

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

const worker: TaskTimes["workers"][number] = {
  address: "node1.example:7433",
  state: "connected",
  stateText: "answered in 4 ms",
  since: start,
  inHand: 64,
  ended: 16_412,
  perSecond: 640,
  greetingMillis: 4,
  silentMillis: 0,
  isLeaving: false,
  refuses: []
}
const unheard = { since: null, inHand: null, ended: null, perSecond: null, greetingMillis: null, silentMillis: null }
const unusable = { ...worker, ...unheard, state: "unusable" as const }

const none = Array<number>(47).fill(0)
const times: TaskTimes = {
  upperMillis: none.map((_, index) => 0.1 * 2 ** (index / 2)),
  kinds: [
    {
      name: "@fanout/ops/CopyUnit",
      attempts: 16_412,
      waiting: { counts: [16_000, 0, 300, 100, 12], p50: 0.1, p95: 0.1, p99: 0.2 },
      running: {
        counts: [...none.slice(0, 8), 20, 900, 5200, 7300, 2000, 800, 150, 30, 0, 0, 9, 3],
        p50: 4.5,
        p95: 9.1,
        p99: 12.8
      }
    },
    {
      name: "forEach \"<script>\u202E\"",
      attempts: 2,
      waiting: { counts: [...none.slice(0, 12), 2], p50: 6.4, p95: 6.4, p99: 6.4 },
      running: { counts: [...none, 2], p50: null, p95: null, p99: null }
    }
  ],
  pools: [
    { name: "cpu", size: 2, held: 0, waiting: 0, bounds: null },
    { name: "io", size: 16, held: 16, waiting: 1240, bounds: { least: 1, most: 64 } }
  ],
  threads: [
    { name: "hash", size: 2, alive: 2, busy: 1, queued: 0, ended: 16_412, lost: 0, abandoned: 0 },
    { name: "read", size: 2, alive: 2, busy: 2, queued: 31, ended: 12, lost: 3, abandoned: 1 }
  ],
  workers: [
    worker,
    { ...worker, address: "node2.example:7433", inHand: 0, perSecond: 0.4, silentMillis: 3000 },
    { ...unusable, address: "node3.example:7433", stateText: "can't be reached: connect ECONNREFUSED 10.0.0.3:7433" },
    {
      ...worker,
      address: "node4.<b>example</b>\u202E:7433",
      isLeaving: true,
      stateText: "answered in 9 ms, is about to end, does not take @fanout/ops/Hash (has another version of it)"
    }
  ]
}

const process: Process = {
  process: "4711-a1",
  machine: "ada",
  jobs: [row.id],
  pools: times.pools,
  threads: [],
  workers: times.workers
}

const Times = () => (
  <>
    <Section title="Tasks">
      <TaskCharts {...times} />
    </Section>
    <Section title="Processes">
      <ProcessList found={[]} />
      <ProcessList found={[process, { ...process, process: "12-b", pools: [] }]} />
    </Section>
    <Section title="Limits">
      <LimitTable
        found={[{ kind: "jobs", name: "copy", most: 2 }, { kind: "rate", name: "<b>api</b>\u202E", most: 1200 }]}
      />
    </Section>
  </>
)

export const Kit = () => (
  <main>
    <h1>Kit</h1>
    <Section title="Rows">
      <ul class="jobs can-select">{rows.map((job) => <JobRow key={job.id} job={job} canSelect />)}</ul>
    </Section>
    <Section title="Job">
      <Sentence job={job} />
      <Figures job={job} history={past} />
      <RatePlot history={past} />
      <SettingsForm job={job} />
    </Section>
    <Times />
    <Section title="Failures">
      <ElementTable
        canChoose
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
    </Section>
    <Section title="Chosen failures">
      <OfCause job={{ ...job, progress: { ...job.progress, causes: { exists: 9 } } }} cause="exists" />
      <button type="button" onClick={() => choose([0, 1, 2], true)}>Choose three</button>
      <ChosenStrip job={job} />
    </Section>
    <Section title="Tree">
      <ChildCounts id="7x2k9qv4m1ab" counts={{ Running: 1, Completed: 8 }} />
      <ul class="tree">
        {rows.map((row, index) => (
          <li key={row.id}>
            <Branch
              job={{ ...row, children: index % 3 === 0 ? { Completed: 1200, Failed: 3 } : {} }}
              isOpen={index === 3}
              onToggle={() => {}}
            />
          </li>
        ))}
      </ul>
    </Section>
    <Section title="Schedules">
      <ScheduleTable rows={schedules} />
      <ScheduleHead schedule={schedule} />
      <NoSchedules />
    </Section>
    <Section title="Blank">
      <Waiting />
      <Blank title="There are no jobs yet.">
        <CopyText text="fanout copy a b" />
      </Blank>
      <Broken error={new TypeError()} />
    </Section>
    <Section title="Strips">
      <LostStrip since={start} />
      <TroubleStrip why="The database is locked." />
      <NoticeStrip notice={{ id: 1, text: "12 jobs asked to pause.", isBad: false }} />
      <NoticeStrip notice={{ id: 2, text: "Refused. It is not paused.", isBad: true }} />
    </Section>
  </main>
)
