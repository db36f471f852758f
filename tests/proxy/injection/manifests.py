"""Manifests as people write them: in every kind, style and state of tidiness."""

DEPLOYMENT = """\
# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web          # what people see
  labels:
    app.kubernetes.io/name: 'web'
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels:
        app: web
      annotations:
        # scraped every 15 s
        prometheus.io/scrape: "true"
        prometheus.io/port: "8080"
    spec:
      serviceAccountName: web
      # first the migration
      initContainers:
        - name: migrate
          image: shop/web:1.4.2
          command: ["/bin/sh", "-c", "echo 'a: b' && migrate"]
      containers:
        # the application
        - name: web
          image: "shop/web:1.4.2"   # pinned
          ports:
            - name: http
              containerPort: 8080
          env:
            - {name: GREETING, value: "hé, it's: a \\"test\\""}
            - name: SCRIPT
              value: |
                #!/bin/sh
                echo "not a: comment # really"

                exec web
          startupProbe:
            tcpSocket:
              port: http
            failureThreshold: 30
          readinessProbe:
            httpGet:
              path: /ready?verbose=1      # says why
              port: http
              httpHeaders:
                - name: X-Probe
                  value: kubelet
            periodSeconds: 3
          livenessProbe:
            httpGet: {path: /live, port: 8080}
          lifecycle:
            preStop:
              httpGet:
                path: /drain
                port: 8080
          volumeMounts:
            - mountPath: /cache
              name: cache

      volumes:
        - name: cache
          emptyDir: {}
# the end
"""

INDENTLESS = """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
spec:
  serviceName: db
  template:
    metadata:
      labels: &labels
        app: db
    spec:
      containers:
      - image: postgres:17
        name: postgres
        ports:
        - containerPort: 5432
          name: pg
        livenessProbe:
          exec:
            command: [pg_isready]
        readinessProbe:
          tcpSocket: {port: pg}
      terminationGracePeriodSeconds: 60
  selector:
    matchLabels: *labels
"""

WITHOUT_METADATA = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  template:
    spec:
      containers:
      - {name: agent, image: 'agent:3', livenessProbe: {grpc: {port: 9000, service: agent}}}
"""

EMPTY_SECTIONS = """\
apiVersion: v1
kind: Pod
metadata:
  name: bare
  annotations: {}
spec:
  initContainers: []
  volumes:
  containers:
  - name: bare
    image: bare
"""

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  generateName: import-
spec:
  backoffLimit: 1
  template:
    metadata: {labels: {job: import}}
    spec:
      restartPolicy: Never
      containers: [{name: import, image: "import:2", args: ["--all", "--since=2024-01-01"]}]
"""

CRON_JOB = """\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            -   name: report
                image: report
                resources:
                    limits: {memory: 1Gi}
"""

LISTED = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: cart
  spec:
    ports: [{port: 80, targetPort: 8080}]
- apiVersion: apps/v1
  kind: ReplicaSet
  metadata:
    name: cart
  spec:
    template:
      metadata:
        annotations:
          note: a
        labels:
          app: cart
      spec:
        containers:
        - name: cart
          image: cart
          livenessProbe:
            httpGet:
              path: /
              port: 8080
- apiVersion: v1
  kind: Pod
  metadata:
    name: alone
  spec:
    containers:
    - name: alone
      image: alone
"""

SEVERAL = f"""\
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data:
  pods.yaml: |
    kind: Pod
    spec: {{containers: [{{name: not-one}}]}}
---
{JOB}
---
# nothing but a comment
---
{CRON_JOB}...
---
apiVersion: example.com/v1
kind: Custom
spec: {{template: {{spec: {{containers: [{{name: not-ours}}]}}}}}}
"""

JSON = """\
{
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "json"},
    "spec": {
        "template": {
            "metadata": {
                "annotations": {
                    "note": "a\\/b \\u00e9"
                }
            },
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "app",
                        "readinessProbe": {
                            "httpGet": {
                                "path": "/ready",
                                "port": 80
                            },
                            "periodSeconds": 2
                        }
                    }
                ],
                "volumes": []
            }
        }
    }
}
"""

JSON_BY_TABS = JSON.replace("    ", "\t")
JSON_IN_A_LINE = '{"kind":"Pod","metadata":{"name":"tight"},"spec":{"containers":[{"name":"a","image":"a"}]}}'
WINDOWS = DEPLOYMENT.replace("\n", "\r\n")
WITHOUT_LAST_NEWLINE = INDENTLESS.rstrip("\n")

ALL = {
    "deployment": DEPLOYMENT,
    "indentless": INDENTLESS,
    "without metadata": WITHOUT_METADATA,
    "empty sections": EMPTY_SECTIONS,
    "job": JOB,
    "cron job": CRON_JOB,
    "listed": LISTED,
    "several": SEVERAL,
    "json": JSON,
    "json by tabs": JSON_BY_TABS,
    "json in a line": JSON_IN_A_LINE,
    "windows": WINDOWS,
    "without last newline": WITHOUT_LAST_NEWLINE,
}

TASK = """\
{
  "family": "shop",
  "networkMode": "awsvpc",
  "requiresCompatibilities": ["EC2"],
  "containerDefinitions": [
    {
      "name": "web",
      "image": "shop/web:1",
      "essential": true,
      "portMappings": [ { "containerPort": 8080 } ],
      "healthCheck": {"command": ["CMD-SHELL", "curl -f http://localhost:8080/ || exit 1"]}
    },
    {
      "name": "log",
      "image": "fluent",
      "dependsOn": [
        {"containerName": "web", "condition": "START"}
      ]
    }
  ],
  "volumes": []
}
"""
